"""Variables in message texts: ``{{ name }}`` and ``{{ name ||| fallback }}``.

The syntax is that of Odoo's inline templates, but a name is all that may stand in the
braces. Nothing is evaluated, so whoever may write a text cannot run code.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

#: Every name a text may use. Values and samples for previews live with the models.
VARIABLES = (
    "member_name",
    "tier",
    "points",
    "last_product",
    "store",
    "coupon_code",
    "coupon_value",
    "coupon_expiry",
    "link",
    "link_token",
    "unsubscribe_link",
    "brand",
)

_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: Leftovers of a pair of braces, and what other template languages would run or fill.
_SUSPECT = re.compile(r"\{\{|\}\}|\{%|%\}|\$\{")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A variable in a text; ``fallback`` is ``None`` when none was written."""

    name: str
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a text is refused.

    ``code`` is ``"unknown"`` (no such variable), ``"syntax"`` (something else than a
    name) or ``"unbalanced"`` (braces without partner); ``fragment`` is the offending
    piece and ``position`` its index in the text.
    """

    code: str
    fragment: str
    position: int


class TemplateError(ValueError):
    """A text with problems cannot be rendered; they are in ``problems``."""

    def __init__(self, problems: list[Problem]):
        super().__init__(", ".join(f"{p.code}: {p.fragment}" for p in problems))
        self.problems = problems


def find_variables(text: str) -> list[Placeholder]:
    """Return the well-formed placeholders in order, repeated ones included."""
    return [piece for piece, _start in _pieces(text) if isinstance(piece, Placeholder)]


def check(text: str, names: Collection[str] = VARIABLES) -> list[Problem]:
    """Return everything that is wrong with ``text``, in order; empty when it is fine.

    :param names: the variables that exist
    """
    problems: list[Problem] = []
    for piece, start in _pieces(text):
        if isinstance(piece, Problem):
            problems.append(piece)
        elif isinstance(piece, Placeholder):
            if piece.name not in names:
                problems.append(Problem("unknown", piece.name, start))
        else:
            problems += _suspects(piece, start)
    return problems


def render(
    text: str, values: Mapping[str, object], names: Collection[str] = VARIABLES
) -> str:
    """Return ``text`` filled with ``values``; see :meth:`Template.render`.

    :raises TemplateError: :func:`check` finds a problem
    """
    return compile(text, names).render(values)


def compile(text: str, names: Collection[str] = VARIABLES) -> "Template":
    """Split a text once, to render it for many members.

    :raises TemplateError: :func:`check` finds a problem
    """
    problems = check(text, names)
    if problems:
        raise TemplateError(problems)
    return Template([piece for piece, _start in _pieces(text)])


class Template:
    """A text split at its variables."""

    __slots__ = ("_parts", "placeholders")

    def __init__(self, pieces: list["str | Placeholder"]):
        self.placeholders = tuple(p for p in pieces if isinstance(p, Placeholder))
        self._parts = [
            (None, piece)
            if isinstance(piece, str)
            else (piece.name, piece.fallback or "")
            for piece in pieces
        ]

    @property
    def names(self) -> frozenset[str]:
        """The variables the text uses: fetch no others."""
        return frozenset(placeholder.name for placeholder in self.placeholders)

    def render(self, values: Mapping[str, object]) -> str:
        """Fill in the values.

        A value that is missing, ``None``, ``False`` or blank gives the fallback, or
        nothing when the text has none. Zero is a value.
        """
        return "".join(
            text if name is None else _filled(values.get(name)) or text
            for name, text in self._parts
        )


def _filled(value: object) -> str:
    if value is None or value is False:
        return ""
    text = str(value)
    return "" if text.isspace() else text


def _pieces(text: str) -> Iterator[tuple["str | Placeholder | Problem", int]]:
    """Yield literal texts, placeholders and malformed braces with their positions."""
    end = 0
    for match in _BRACES.finditer(text):
        if match.start() > end:
            yield text[end : match.start()], end
        yield _placeholder(match), match.start()
        end = match.end()
    if end < len(text):
        yield text[end:], end


def _placeholder(match: re.Match) -> Placeholder | Problem:
    name, separator, fallback = match[1].partition("|||")
    if "{{" in match[1]:
        return Problem("unbalanced", match[0], match.start())
    # A brace at the edge of the fallback is a third brace somebody typed.
    if not _NAME.fullmatch(name.strip()) or "{" in fallback or "}" in fallback:
        return Problem("syntax", match[0], match.start())
    return Placeholder(name.strip(), fallback.strip() if separator else None)


def _suspects(literal: str, start: int) -> Iterator[Problem]:
    for match in _SUSPECT.finditer(literal):
        code = "unbalanced" if match[0] in ("{{", "}}") else "syntax"
        yield Problem(code, match[0], start + match.start())


_PARAMETER = re.compile(r"\$\{(\w+)\}|\{(\d+)\}")


def read_parameters(registered: str, text: str) -> dict[str, str] | None:
    """Read a text as an instance of one that is registered at a provider.

    >>> read_parameters("Dear ${name}, order {2} is on its way.",
    ...                 "Dear Ann, order S7 is on its way.")
    {'name': 'Ann', '2': 'S7'}

    :param registered: with ``${name}`` or ``{1}`` where a parameter stands
    :returns: parameter → what stands in its place, which is as short as it can be and
        the same wherever the parameter occurs; None: the text reads differently
    """
    pattern, end, groups = "", 0, {}
    for match in _PARAMETER.finditer(registered := registered.strip()):
        pattern += re.escape(registered[end : match.start()])
        name, end = match[1] or match[2], match.end()
        pattern += rf"(?P=p{groups[name]})" if name in groups else ""
        if name not in groups:
            groups[name] = len(groups)
            pattern += rf"(?P<p{groups[name]}>.+?)"
    found = re.fullmatch(pattern + re.escape(registered[end:]), text.strip(), re.DOTALL)
    return found and {name: found[f"p{index}"] for name, index in groups.items()}


def fill_parameters(registered: str, params: Mapping[str, str]) -> str:
    """Return a registered text with its parameters filled in, as far as they are."""
    return _PARAMETER.sub(
        lambda match: params.get(match[1] or match[2], match[0]), registered
    )
