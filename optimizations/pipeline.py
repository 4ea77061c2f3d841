"""Running the passes over a graph.

The passes and their rules are built when the first program is, for they take longer than the rest of the package.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from symgraph.errors import GraphError
from symgraph.graph.collector import paused
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.text import show
from symgraph.graph.verify import verify
from symgraph.optimizations.rewrite import Fired, rewrite
from symgraph.options import Options

if TYPE_CHECKING:
    from symgraph.optimizations.passes import Pass


class Stage(NamedTuple):
    """A graph as a pass left it, the seconds that took, and what fired on the way."""

    name: str
    graph: Graph
    seconds: float = 0.0
    fired: tuple[Fired, ...] = ()


def optimize(program: Graph, options: Options, names: Sequence[str] | None = None) -> list[Stage]:
    """The graph as it was built, and as each pass left it; the last is what is compiled.

    ``names`` chooses passes. Raises GraphError for a name that no pass has, and for a pass that fails, with the command
    that replays it.
    """
    with paused():
        return _optimized(program, options, names)


def _optimized(program: Graph, options: Options, names: Sequence[str] | None) -> list[Stage]:
    from symgraph.optimizations.passes import standard

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
    from symgraph.optimizations.passes import STABLE

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


def _written(program: Graph) -> str:
    """The path of a new file with the program's text."""
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="symgraph_", suffix=".sg", delete=False
    ) as file:
        file.write(show(program))
    return file.name
