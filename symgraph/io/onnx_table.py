"""Which operators of ONNX there are rules for: from inputs and attributes to nodes, by the opset they hold since."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from symgraph.errors import Problem, UnsupportedOperator

F = TypeVar("F", bound=Callable[..., Any])


def unsupported(file: str, problems: Iterable[Problem], verb: str = "imported") -> UnsupportedOperator:
    """The one error that lists what cannot be imported, or exported.

    >>> problems = [Problem("ImageDecoder", "node decode", "there is no rule for it")]
    >>> print(unsupported("model.onnx", problems))
    model.onnx: 1 node cannot be imported
      ImageDecoder (node decode): there is no rule for it
    """
    listed = list(dict.fromkeys(problems))
    count = f"{len(listed)} node{'s' if len(listed) > 1 else ''}"
    lines = [f"{file}: {count} cannot be {verb}", *(f"  {problem}" for problem in listed)]
    return UnsupportedOperator("\n".join(lines), listed)


class Refused(Exception):
    """A rule's own word that it cannot do what a node asks."""


COMPLEX = "ONNX does not compute with complex numbers"


class Unknown(Exception):
    """A value that decides sizes and is not known when the model is imported.

    ``inputs`` are the inputs of the model whose values would tell it; there are none where they would not help.
    """

    def __init__(self, reason: str, inputs: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.inputs = tuple(inputs)


@dataclass(slots=True)
class Report:
    """What stood in the way: operators that cannot be imported, and inputs whose values would help."""

    problems: list[Problem] = field(default_factory=list)
    wanted: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.problems or self.wanted)

    def add(self, other: Report) -> None:
        self.problems += other.problems
        self.wanted.update(other.wanted)


class Stopped(Exception):
    """An inner graph could not be made; the report says why."""

    def __init__(self, report: Report) -> None:
        super().__init__("; ".join(map(str, report.problems)) or ", ".join(report.wanted))
        self.report = report


@dataclass(frozen=True, slots=True)
class Rule:
    """What an operator becomes, for models of opset ``since`` and later, up to the next rule of the same name.

    ``build`` takes the inputs, None for those left out, and the attributes by keyword. One whose first parameter is
    called ``at`` is given the call too.
    """

    operator: str
    since: int
    build: Callable[..., Any]
    takes_call: bool
    least: int
    most: int | None
    attributes: frozenset[str]


RULES: dict[str, list[Rule]] = {}
"""The rules of each operator of the default domain, the newest first."""


def operator(*names: str, since: int = 1) -> Callable[[F], F]:
    """Declare the rule of operators: ``@operator("Softmax", since=13)``."""

    def declare(build: F) -> F:
        for name in names:
            RULES.setdefault(name, []).append(_rule(name, since, build))
            RULES[name].sort(key=lambda rule: -rule.since)
        return build

    return declare


def find(name: str, opset: int) -> Rule | None:
    """The newest rule that is not above the opset."""
    return next((rule for rule in RULES.get(name, []) if rule.since <= opset), None)


def operators() -> dict[str, tuple[int, ...]]:
    """The operators that there are rules for, each with the opsets from which its rules hold.

    Others are imported by the functions that define them, in the model or in ONNX itself.

    >>> from symgraph.onnx import operators
    >>> operators()["Softmax"]
    (1, 13)
    """
    return {name: tuple(sorted(rule.since for rule in RULES[name])) for name in sorted(RULES)}


def _rule(name: str, since: int, build: Callable[..., Any]) -> Rule:
    given = [
        each for each in inspect.signature(build).parameters.values() if each.kind is not each.VAR_KEYWORD
    ]
    takes_call = bool(given) and given[0].name == "at"
    places = [
        each for each in given[takes_call:] if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    least = sum(each.default is each.empty for each in places)
    most = None if any(each.kind is each.VAR_POSITIONAL for each in given) else len(places)
    keywords = frozenset(each.name for each in given if each.kind is each.KEYWORD_ONLY)
    return Rule(name, since, build, takes_call, least, most, keywords)
