"""Odoo's own tests of SMS, in a database that has the addon.

Companies have chosen no gateway there, so SMS go Odoo's way and have to arrive as ever.
Most of the tests are in `test_mail_sms`, which Odoo has for tests only. Some fail by
themselves with libraries newer than Odoo's; whatever fails is run again in a database
without the addon.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTED = ("sms", "test_mail_sms")
#: Fewer would mean that they were not found.
LEAST = 100


@pytest.fixture
def bare_database():
    """What the addon depends on, and not the addon."""
    name = "member_messaging_test_bare"

    def do(steps):
        script = f". scripts/lib.sh; setup; drop_database {name}; {steps}"
        subprocess.run(["bash", "-c", script], cwd=ROOT, check=True)

    do(f"base_database; copy_database $BASE_DB {name}")
    yield name
    do(":")


def run_tests(database, tests, log):
    """Run tests of Odoo's addons.

    :param tests: paths below the addons
    :returns: how many passed, those that failed as such paths, and what pytest printed
    """
    from odoo.modules import get_module_path

    subprocess.run(
        [sys.executable, "-m", "odoo", f"--database={database}", f"--logfile={log}"]
        + ["--init=test_mail_sms", "--stop-after-init", "--no-http"],
        check=True,
    )
    addons = Path(get_module_path("sms")).parent
    run = subprocess.run(
        [sys.executable, "-m", "pytest", f"--odoo-database={database}", "--odoo-http"]
        + ["-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
        + [str(addons / test) for test in tests],
        capture_output=True,
        text=True,
        check=False,
    )
    failed = re.findall(r"^\w*(?:FAILED|ERROR)\b.*?(\w+/tests/\S+)", run.stdout, re.M)
    passed = re.search(r"(\d+) passed", run.stdout)
    return int(passed[1]) if passed else 0, set(failed), run.stdout


def test_odoos_own_tests(database, bare_database, tmp_path):
    folders = [f"{name}/tests" for name in TESTED]
    passed, failed, output = run_tests(database, folders, tmp_path / "with.log")
    assert passed + len(failed) >= LEAST, output
    if failed:
        _passed, bare, _output = run_tests(bare_database, failed, tmp_path / "bare.log")
        assert not failed - bare, output
