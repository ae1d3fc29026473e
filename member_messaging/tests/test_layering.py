import ast
import re
from pathlib import Path

from odoo.tests import BaseCase, tagged

MODELS = Path(__file__).parents[1] / "models"
#: (file, model of a later stage) → why it may know it.
ALLOWED = {
    ("member_message", "member.event"): "shows the events of a message, reads none",
}
RELATIONS = {"Many2one", "KeylessMany2one", "One2many", "Many2many"}


def read_stages():
    """:returns: file → number of its stage, by the comments of models/__init__.py"""
    stages, stage = {}, None
    for line in (MODELS / "__init__.py").read_text().splitlines():
        if match := re.match(r"# (\d) \w+: ", line):
            stage = int(match[1])
        elif match := re.match(r"from \. import (\w+)$", line):
            stages[match[1]] = stage
    return stages


def get_constant(node):
    return node.value if isinstance(node, ast.Constant) else None


def get_name(node):
    """:returns: last part of a name or an attribute"""
    return getattr(node, "attr", None) or getattr(node, "id", None)


def find_definitions(tree):
    """Yield the models a file brings into the world."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (
            getattr(node.targets[0], "id", None) == "_name"
        ):
            yield get_constant(node.value)


def find_references(tree):
    """Yield the models a file names: ``env[…]``, comodels and ``_inherit``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            yield get_constant(node.slice)
        elif isinstance(node, ast.Call):
            if get_name(node.func) in RELATIONS:
                yield from map(get_constant, node.args[:1])
                yield from (
                    get_constant(keyword.value)
                    for keyword in node.keywords
                    if keyword.arg == "comodel_name"
                )
        elif isinstance(node, ast.Assign) and (
            getattr(node.targets[0], "id", None) == "_inherit"
        ):
            names = node.value.elts if hasattr(node.value, "elts") else [node.value]
            yield from map(get_constant, names)


@tagged("post_install", "-at_install")
class TestLayering(BaseCase):
    """One road for the data: a stage knows the stages before it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stages = read_stages()
        cls.trees = {
            path.stem: ast.parse(path.read_text())
            for path in MODELS.glob("*.py")
            if path.stem != "__init__"
        }
        cls.stage_of_model = {
            model: cls.stages[name]
            for name, tree in cls.trees.items()
            for model in find_definitions(tree)
        }

    def test_every_file_has_its_place(self):
        self.assertEqual(self.stages.keys(), self.trees.keys())
        numbers = list(self.stages.values())
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(set(numbers), set(range(1, 9)))

    def test_no_stage_knows_a_later_one(self):
        arrows = {
            (name, model)
            for name, tree in self.trees.items()
            for model in find_references(tree)
            if self.stage_of_model.get(model, 0) > self.stages[name]
        }
        self.assertEqual(arrows, set(ALLOWED))

    def test_references_are_found(self):
        """The test above sees what it is to see."""
        tree = ast.parse(
            "class A:\n"
            "    _name = 'a'\n"
            "    _inherit = ['b', 'c']\n"
            "    d = fields.Many2one('d')\n"
            "    e = fields.Many2many(string='E', comodel_name='e')\n"
            "    def f(self):\n"
            "        return self.env['f'].search([])\n"
        )
        self.assertEqual(list(find_definitions(tree)), ["a"])
        self.assertEqual(set(find_references(tree)) - {None}, {"b", "c", "d", "e", "f"})
        self.assertGreater(len(self.stage_of_model), 15)
