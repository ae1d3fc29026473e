"""Borders: what the plain-Python folders may import."""

import ast
import sys

import pytest
from fakes import ADDON

FILES = sorted([*ADDON.glob("gateways/*.py"), *ADDON.glob("tools/*.py")])
ALLOWED = {
    "jmespath",
    "lxml",
    "openpyxl",
    "phonenumbers",
    "pytz",
    "requests",
    "stdnum",
} | set(sys.stdlib_module_names)


def imports(path):
    """Yield (level, top-level name) of each import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, (node.module or "").split(".")[0]


def test_files_found():
    assert len(FILES) > 15


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: f"{path.parent.name}.{path.stem}"
)
def test_imports(path):
    for level, name in imports(path):
        # One dot at most: the folders do not reach into each other or into Odoo.
        assert level <= 1, f"{path}: relative import of {name} leaves the folder"
        if level == 0:
            assert name in ALLOWED, f"{path} imports {name}"


def test_one_door_to_the_network():
    network = {"requests", "urllib3", "socket", "http"}
    doors = {
        path.name
        for path in FILES
        if any(level == 0 and name in network for level, name in imports(path))
    }
    assert doors == {"http.py"}
