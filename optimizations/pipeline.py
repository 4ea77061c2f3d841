"""The passes, in the one order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.optimizations.algebra import ALGEBRA
from symgraph.optimizations.fold import FOLD
from symgraph.optimizations.moves import MOVING
from symgraph.optimizations.reductions import REDUCTIONS
from symgraph.optimizations.rewrite import Fired, rewrite, rewriting
from symgraph.optimizations.rules import rules
from symgraph.optimizations.selections import SELECTIONS
from symgraph.optimizations.stabilize import STABILIZE
from symgraph.options import Options

SIMPLIFY = rules("SIMPLIFY", FOLD, ALGEBRA, SELECTIONS, REDUCTIONS, MOVING)
_STABLE = rules("SIMPLIFY+STABILIZE", SIMPLIFY, STABILIZE)

Change: TypeAlias = Callable[[Graph, list[Fired]], Graph]


@dataclass(frozen=True, slots=True)
class Pass:
    """A name, and a function from graph to graph that notes which rules fired."""

    name: str
    change: Change


@dataclass(frozen=True, slots=True)
class Stage:
    """A graph as a pass left it, and what fired on the way."""

    name: str
    graph: Graph
    fired: tuple[Fired, ...] = ()


def standard(options: Options) -> tuple[Pass, ...]:
    """What every program goes through."""
    return (
        Pass("simplify", rewriting(SIMPLIFY)),
        Pass("stabilize", rewriting(_STABLE)),
    )


def stabilized(outputs: Sequence[Node], keep: Sequence[Node]) -> list[Node]:
    """The outputs in their stable form; nodes in ``keep`` stay in them as they are."""
    return rewrite(outputs, _STABLE, keep=keep)


def optimize(program: Graph, options: Options) -> list[Stage]:
    """The graph as it was built, and as each pass left it; the last is what is compiled."""
    stages = [Stage("build", program)]
    for each in standard(options):
        fired: list[Fired] = []
        after = each.change(stages[-1].graph, fired)
        stages.append(Stage(each.name, after, tuple(fired)))
    return stages
