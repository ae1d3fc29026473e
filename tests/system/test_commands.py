"""The commands of README do what it says they do."""

import shutil
import subprocess

import pytest
import requests


def test_odoo_shell_runs_a_script(command, database):
    script = "print('state', env.ref('base.module_member_messaging').state)"
    result = command("scripts/odoo", "shell", f"--database={database}", input=script)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "state installed\n"


def test_odoo_serves(odoo_server):
    page = requests.get(f"{odoo_server.url}/web/login", timeout=60)
    assert page.status_code == 200
    assert 'name="login"' in page.text


@pytest.fixture
def demo_database():
    name = "member_messaging_test_demo"
    drop = ["bash", "-c", f". scripts/lib.sh; setup; drop_database {name}"]
    subprocess.run(drop, check=True)
    yield name
    subprocess.run(drop, check=True)


def test_demo_prints_the_recap_again_and_again(command, demo_database):
    def recap():
        env = {"DEMO_DB": demo_database}
        result = command("scripts/demo", "--no-serve", env=env)
        assert result.returncode == 0, result.stderr
        return result.stdout

    first = recap()
    header, *rows = first.strip().splitlines()
    assert "sent" in header.lower()
    assert "redeemed" in header.lower()
    assert rows
    assert recap() == first


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker command")
def test_docker_compose_file(command):
    if command("docker", "compose", "version").returncode:
        pytest.skip("docker without compose")
    result = command("docker", "compose", "config", "--quiet")
    assert result.returncode == 0, result.stderr
