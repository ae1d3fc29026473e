"""A PostgreSQL server of its own, for tests that restart it."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

#: Who runs it where root asks for it: PostgreSQL refuses root.
OWNER = "postgres"
PORT = "5432"


def find_programs():
    """:returns: folder of PostgreSQL's own programs, None if they are not here"""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1].parent if found else None


class Cluster:
    """A PostgreSQL server on a socket in `home`."""

    def __init__(self, home):
        self.home = home
        self._run("initdb", "-U", "odoo", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._control("start")

    @property
    def options(self):
        """How `odoo` reaches it."""
        return [f"--db_host={self.home}", f"--db_port={PORT}", "--db_user=odoo"]

    @property
    def environment(self):
        """How PostgreSQL's clients reach it."""
        return {"PGHOST": self.home, "PGPORT": PORT, "PGUSER": "odoo"}

    def copy(self, database):
        """Copy a database of the usual server."""
        ours = os.environ | self.environment
        subprocess.run(["createdb", database], check=True, env=ours)
        with subprocess.Popen(["pg_dump", database], stdout=subprocess.PIPE) as dump:
            subprocess.run(
                ["psql", "-qd", database, "-v", "ON_ERROR_STOP=1"],
                stdin=dump.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
                env=ours,
            )
        assert dump.returncode == 0

    def restart(self):
        """As after a crash: connections are cut, what was committed is kept."""
        self._control("restart", "-m", "immediate")

    def stop(self):
        self._control("stop", "-m", "immediate")

    def _control(self, command, *options):
        self._run(
            *("pg_ctl", command, "-w", "-s", "-l", f"{self.home}/log"),
            *("-o", f"-k {self.home} -p {PORT} -c listen_addresses=''"),
            *options,
        )

    def _run(self, program, *arguments):
        owner = [] if os.geteuid() else ["runuser", "-u", OWNER, "--"]
        subprocess.run(
            [*owner, find_programs() / program, *arguments],
            cwd=self.home,
            env=os.environ | {"PGDATA": f"{self.home}/data"},
            stdout=subprocess.DEVNULL,
            check=True,
        )


@contextlib.contextmanager
def own_cluster():
    # Not below pytest's folder, which is closed to other users; and the path of a
    # socket has to be short.
    with tempfile.TemporaryDirectory(prefix="postgres-") as home:
        if not os.geteuid():
            shutil.chown(home, OWNER)
        cluster = Cluster(home)
        try:
            yield cluster
        finally:
            cluster.stop()
