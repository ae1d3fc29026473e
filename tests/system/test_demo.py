"""The main job on the purchases of 23,570 real customers."""

import pathlib
import re

DEMO = pathlib.Path(__file__).parents[2] / "scripts" / "demo.py"


def test_main_job_on_cdnow(command, database):
    def recap():
        shell = ("scripts/odoo", "shell", f"--database={database}", "--log-level=warn")
        env = {"DEMO_DATA": "cdnow"}
        result = command(*shell, "--no-http", env=env, input=DEMO.read_text())
        assert result.returncode == 0, result.stderr
        assert not re.search(" (WARNING|ERROR|CRITICAL) ", result.stderr)
        return result.stdout

    def read_row(name, text):
        row = re.search(f"^{name}  +(.*)", text, re.MULTILINE)[1]
        return [float(cell) for cell in re.findall(r"[\d.]+", row.replace(",", ""))]

    first = recap()
    selected, reached, sent, _delivered, _clicked, redeemed, *_money = read_row(
        "Win back our best", first
    )
    assert selected > reached >= sent > redeemed > 0
    _campaigns, tiers = first.split("Tier ")
    members, _share, orders, *_money = read_row("Total", tiers)
    # four more enrol in the course of the job, and each redemption is an order
    assert (members, orders) == (23_570 + 4, 69_659 + redeemed)
    assert "80 orders of 0 dollars" in first
    # nothing is loaded or sent twice
    assert recap() == first
