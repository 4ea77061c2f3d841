"""Assignments: what becomes of variables after a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from symgraph.api.variable import Variable
from symgraph.errors import ArgumentError, GraphError
from symgraph.graph.node import Node, located
from symgraph.graph.op import as_node
from symgraph.ops.arithmetic import add


@dataclass(frozen=True, slots=True, eq=False)
class Assign:
    """A variable and the expression it becomes; fetched, it gives the new value."""

    variable: Variable
    value: Node


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Several assignments; fetched, it gives None."""

    assigns: tuple[Assign, ...]


def assign(variable: Variable, value: Any) -> Assign:
    """An assignment to run in a session or to pass in ``updates``; nothing happens before that.

    All assignments of one run see the values from before it.

    Raises GraphError when the first argument is no variable, DTypeError and ShapeError when the value does not fit it.
    """
    if not isinstance(variable, Variable):
        operands = [variable] if isinstance(variable, Node) else []
        raise located(GraphError(f"only a variable can be assigned to, and {variable!r} is none"), operands)
    return Assign(variable, as_node(value, variable.row))


def assign_add(variable: Variable, value: Any) -> Assign:
    """``assign(variable, variable + value)``."""
    return assign(variable, add(variable, value))


def group(*assigns: Assign | Group) -> Group:
    """Several assignments as one fetch.

    Raises ArgumentError for anything else.
    """
    flat: list[Assign] = []
    for part in assigns:
        match part:
            case Assign():
                flat.append(part)
            case Group():
                flat.extend(part.assigns)
            case _:
                raise located(ArgumentError(f"a group is of assignments, not {part!r}"), [])
    return Group(tuple(flat))


Updates = Mapping[Variable, Any] | Iterable[tuple[Variable, Any] | Assign] | None


def as_updates(updates: Updates) -> dict[Node, Node]:
    """Updates in any of their spellings as one table.

    Raises GraphError when a variable is updated twice.
    """
    pairs = updates.items() if isinstance(updates, Mapping) else (updates or ())
    table: dict[Node, Node] = {}
    for pair in pairs:
        try:
            made = pair if isinstance(pair, Assign) else assign(*pair)
        except TypeError as error:
            if isinstance(error, ArgumentError) or not isinstance(pair, tuple) or len(pair) != 2:
                raise located(
                    ArgumentError(f"an update is a pair (variable, new value), not {pair!r}"), []
                ) from None
            raise
        if made.variable in table:
            raise located(
                GraphError(f"the variable {made.variable.name!r} is updated twice"), [made.variable]
            )
        table[made.variable] = made.value
    return table
