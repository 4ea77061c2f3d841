"""What runs a graph behind a function or a session."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from symgraph.graph.dims import Size
from symgraph.graph.evaluate import Array, Schedule, schedule
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.options import Options

if TYPE_CHECKING:
    from symgraph.optimizations.plan import Plan
    from symgraph.optimizations.storage import Storage
    from symgraph.runtime.numpy_backend import NumpyProgram


class Executor:
    """A graph's plan, compiled for one target; with ``watch``, its ops one by one, looking for the first NaN."""

    def __init__(
        self, program: Graph, given: Sequence[Node], options: Options, donated: Collection[Node] = ()
    ) -> None:
        self._options, self._donated = options, donated
        self._program, self._given = program, tuple(given)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results, which may share memory with the arrays; the first run compiles."""
        if self._options.watch:
            return self._schedule.run(arrays, watch=True)
        return self.compiled.run(arrays)

    @cached_property
    def plan(self) -> Plan:
        from symgraph.optimizations.plan import plan

        return plan(self._program, self._given)

    def storage(self, sizes: Mapping[Size, int]) -> Storage:
        """Where the values of a call lie."""
        return self.compiled.storage(sizes)

    @cached_property
    def compiled(self) -> NumpyProgram:
        from symgraph.runtime.numpy_backend import NumpyProgram

        limit = self._options.memory_limit
        return NumpyProgram(self.plan, donated=self._donated, limit=limit)

    @cached_property
    def _schedule(self) -> Schedule:
        return schedule(self._program.roots, self._given)
