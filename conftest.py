"""A test during which Odoo logs a WARNING or worse fails.

A test that provokes one on purpose says so with `mute_logger` or `assertLogs`.
"""

import logging

import pytest


class Complaints(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")

    def take(self):
        lines, self.lines = self.lines, []
        return lines


complaints = Complaints()
logging.getLogger("odoo").addHandler(complaints)


def fail_on_complaint(item):
    try:
        result = yield
    finally:
        lines = complaints.take()
    if lines:
        pytest.fail("\n".join(["Odoo logged", *lines]), pytrace=False)
    return result


pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = pytest.hookimpl(
    wrapper=True, tryfirst=True
)(fail_on_complaint)
