"""What runs a graph behind a function or a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgraph.graph.evaluate import Array, schedule
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.options import Options

if TYPE_CHECKING:
    from symgraph.optimizations.plan import Plan
    from symgraph.runtime.numpy_backend import NumpyProgram


class Executor:
    """A graph's plan, compiled for one target; with ``watch``, its ops one by one, looking for the first NaN."""

    def __init__(self, program: Graph, given: Sequence[Node], options: Options) -> None:
        self._schedule = schedule(program.roots, given)
        self._watch = options.watch
        self._program, self._given = program, tuple(given)
        self._compiled: NumpyProgram | None = None

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results, which may share memory with the arrays; the first run compiles."""
        if self._watch:
            return self._schedule.run(arrays, watch=True)
        return self.compiled.run(arrays)

    @property
    def plan(self) -> Plan:
        return self.compiled.plan

    @property
    def compiled(self) -> NumpyProgram:
        from symgraph.optimizations.plan import plan
        from symgraph.runtime.numpy_backend import NumpyProgram

        if self._compiled is None:
            self._compiled = NumpyProgram(plan(self._program, self._given))
        return self._compiled
