"""The passes, in the one order in which they run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from symgraph.errors import GraphError
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.text import show
from symgraph.graph.verify import verify
from symgraph.optimizations.algebra import ALGEBRA, FAST
from symgraph.optimizations.fold import FOLD
from symgraph.optimizations.inline import INLINE
from symgraph.optimizations.moves import MOVING
from symgraph.optimizations.products import FAST_PRODUCTS, PRODUCTS
from symgraph.optimizations.reductions import REDUCTIONS
from symgraph.optimizations.rewrite import Fired, rewrite, rewriting
from symgraph.optimizations.rules import rules
from symgraph.optimizations.selections import SELECTIONS
from symgraph.optimizations.sizes import SIZES
from symgraph.optimizations.slices import SLICES
from symgraph.optimizations.stabilize import STABILIZE
from symgraph.options import Options

Change: TypeAlias = Callable[[Graph, list[Fired]], Graph]

SIMPLIFY = rules("SIMPLIFY", FOLD, ALGEBRA, SELECTIONS, REDUCTIONS, MOVING, SLICES, PRODUCTS, SIZES)
STABLE = rules("STABLE", SIMPLIFY, STABILIZE)


@dataclass(frozen=True, slots=True)
class Pass:
    """A name, and a function from graph to graph that notes which rules fired."""

    name: str
    change: Change


@dataclass(frozen=True, slots=True)
class Stage:
    """A graph as a pass left it, the seconds that took, and what fired on the way."""

    name: str
    graph: Graph
    seconds: float = 0.0
    fired: tuple[Fired, ...] = ()


def standard(options: Options) -> tuple[Pass, ...]:
    """What every program goes through."""
    own = rules("own", options.rules)
    return (
        Pass("inline", rewriting(INLINE)),
        Pass("simplify", rewriting(SIMPLIFY)),
        Pass("stabilize", rewriting(STABLE)),
        *([Pass("own", rewriting(STABLE, own))] if options.rules else []),
        *([Pass("fast", rewriting(STABLE, own, FAST, FAST_PRODUCTS))] if options.fast_math else []),
    )


def optimize(program: Graph, options: Options, names: Sequence[str] | None = None) -> list[Stage]:
    """The graph as it was built, and as each pass left it; the last is what is compiled.

    ``names`` chooses passes. Raises GraphError for a name that no pass has, and for a pass that fails, with the command
    that replays it.
    """
    passes = standard(options)
    if names is not None:
        known = {each.name: each for each in passes}
        for name in names:
            if name not in known:
                raise GraphError(f"there is no pass {name!r}; the passes are {', '.join(known)}")
        passes = tuple(known[name] for name in names)
    stages = [Stage("build", program)]
    for each in passes:
        stages.append(_run(each, stages[-1].graph, options))
    return stages


def stabilized(outputs: Sequence[Node], keep: Sequence[Node]) -> list[Node]:
    """The outputs in their stable form; nodes in ``keep`` stay in them as they are."""
    return rewrite(outputs, STABLE, keep=keep)


def _run(each: Pass, before: Graph, options: Options) -> Stage:
    fired: list[Fired] = []
    start = time.perf_counter()
    try:
        after = each.change(before, fired)
        if options.verify:
            verify(after)
    except Exception as error:
        path = _written(before)
        text = f"the pass {each.name} failed: {error}\n  symgraph opt {path} --passes {each.name}   does it again"
        raise GraphError(text) from error
    return Stage(each.name, after, time.perf_counter() - start, tuple(fired))


def _written(program: Graph) -> Path:
    """The program's text in a new file."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="symgraph_", suffix=".sg", delete=False
    ) as file:
        file.write(show(program))
    return Path(file.name)
