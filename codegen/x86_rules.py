"""Lines of LLVM's text as instructions of x86 with AVX-512: a rule for each form of line.

The form of a line is its text without names and numbers. A rule is made for a form once, and is then given those of
each line. Floating-point instructions are those that LLVM selects, so the same bits come out; which registers hold the
values is decided later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from symgraph.codegen.x86_calls import CALLS
from symgraph.codegen.x86_choices import CHOICES
from symgraph.codegen.x86_conversions import CONVERSIONS
from symgraph.codegen.x86_floats import FLOATS
from symgraph.codegen.x86_gather import GATHERS
from symgraph.codegen.x86_integers import INTEGERS
from symgraph.codegen.x86_lanes import LANES
from symgraph.codegen.x86_memory import MEMORY, quadruple
from symgraph.codegen.x86_selection import Maker, Rule, Selection
from symgraph.codegen.x86_values import Type, Unknown, only, types_in

_OPERAND = re.compile(
    r" (%[^ ,()]+|splat [^)]*\)|-?\d[^ ,)>]*|zeroinitializer|poison|true|false|null|<i\d+ [^>]*>"
    r"|@(?!llvm\.)[\w.]+)"
)
"""What a form leaves out; the space at the beginning is what the search looks for first."""
_WORD = re.compile(r"(?: \? = )?(?:call .*?@llvm\.([a-z.]+?)\.[vpfi]\d|(\w+))")


def select(selection: Selection, line: str) -> None:
    """Raises Unknown for a line of which there is no rule."""
    pieces = _OPERAND.split(line)
    _rule(" ?".join(pieces[::2]))(selection, pieces[1::2])


@cache
def _rule(form: str) -> Rule:
    found = _WORD.match(form[1:] if form.startswith("  ?") else form[2:])
    name = (f"llvm.{found[1]}" if found[1] else found[2]) if found else ""
    if name not in _MAKERS:
        raise Unknown(form)
    if "i128" in form:
        return quadruple(form)
    return _MAKERS[name](form, types_in(form))


# Blocks


def _branch(form: str, types: list[Type]) -> Rule:
    if not types:
        return lambda s, given: s.jump("", given[0][1:], "")
    return lambda s, given: s.jump(given[0], given[1][1:], given[2][1:])


def _phi(form: str, types: list[Type]) -> Rule:
    type_ = only(types, form)

    def rule(s: Selection, given: Sequence[str]) -> None:
        to, *ways = given
        s.meet(to, type_, {label[1:]: x for x, label in zip(ways[::2], ways[1::2], strict=True)})

    return rule


_MAKERS: dict[str, Maker] = {
    **FLOATS,
    **INTEGERS,
    **CHOICES,
    **MEMORY,
    **LANES,
    **CONVERSIONS,
    **GATHERS,
    **CALLS,
    "br": _branch,
    "phi": _phi,
}
