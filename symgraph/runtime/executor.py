"""What runs a graph behind a function or a session."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.graph.collector import paused
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import Array, Schedule, schedule
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.options import Options, has_llvm
from symgraph.runtime.cache import folder
from symgraph.runtime.identity import identity
from symgraph.runtime.memory import unshared

if TYPE_CHECKING:
    from symgraph.optimizations.plan import Plan
    from symgraph.optimizations.storage import Storage
    from symgraph.runtime.entry import Entry
    from symgraph.runtime.kept import Kept
    from symgraph.runtime.program import PlanProgram
    from symgraph.runtime.recalled import Recalled, Shelf


def shelf_of(program: Graph, options: Options) -> Shelf | None:
    """Where processes leave how they run a program; None where it cannot be told from another, or nothing is kept."""
    own = (
        options.watch
        or options.verify
        or options.rules
        or options.device != "cpu"
        or options.backend == "numpy"
    )
    if own or (place := folder()) is None or identity() is None:
        return None
    from symgraph.runtime.recalled import shelf

    return shelf(program, options, place)


class Executor:
    """A graph's plan, compiled for one target; with ``watch``, its ops one by one, looking for the first NaN."""

    def __init__(
        self,
        program: Callable[[], Graph],
        given: Sequence[Node],
        options: Options,
        donated: Collection[Node] = (),
        steady: Collection[Node] = (),
        shelf: Shelf | None = None,
    ) -> None:
        """``program`` gives the graph once it is asked for: what another process ran may be on the ``shelf``. What is
        ``steady`` of what is given is the same array in many calls, and that is never written."""
        self._options, self._donated, self._steady, self._shelf = options, donated, steady, shelf
        self._program, self._given = program, tuple(given)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results, which share memory with nothing but what is donated; the first run compiles."""
        if self._options.watch:
            return unshared(self._schedule.run(arrays, watch=True), arrays)
        if self._shelf is not None and (results := self._shelf.run(arrays)) is not None:
            return results
        program: PlanProgram = self.__dict__.get("compiled") or self._first(arrays)
        return program.run(arrays)

    def _first(self, arrays: Sequence[Array]) -> PlanProgram:
        """What is compiled, ready for such arrays."""
        with paused():
            self.compiled.prepared(arrays)
        return self.compiled

    def _recalled(self, arrays: Sequence[Array]) -> Recalled | None:
        """What runs such calls as another process has planned them."""
        return self._shelf.recalled(arrays) if self._shelf is not None else None

    @cached_property
    def plan(self) -> Plan:
        from symgraph.optimizations.plan import plan

        return plan(self._program(), self._given)

    def storage(self, sizes: Mapping[Size, int]) -> Storage:
        """Where the values of a call lie."""
        return self.compiled.storage(sizes)

    @cached_property
    def compiled(self) -> PlanProgram:
        with paused():
            return self._compiled()

    def _compiled(self) -> PlanProgram:
        limit = self._options.memory_limit
        if self.backend == "cuda":
            from symgraph.runtime.devices import program_on

            return program_on(self._options.device, self.plan, donated=self._donated, limit=limit)
        if self.backend == "llvm":
            from symgraph.runtime.native_backend import NativeProgram

            return NativeProgram(
                self.plan,
                donated=self._donated,
                limit=limit,
                threads=self._options.threads,
                flushes=self._options.flushes,
                steady=self._steady,
                keep=None if self._shelf is None else self._shelf.keep,
            )
        from symgraph.runtime.numpy_backend import NumpyProgram

        return NumpyProgram(self.plan, donated=self._donated, limit=limit)

    @property
    def of_device(self) -> Callable[[Any], Any] | None:
        """What makes an array that lies on a GPU one that `run` takes; None where nothing runs there."""
        return self.compiled.of_device if self.backend == "cuda" else None

    def home(self, array: Array) -> Array:
        """A result as NumPy's: those of a call with arrays of a GPU lie there."""
        return array if isinstance(array, np.ndarray) else self.compiled.home(array)

    @cached_property
    def backend(self) -> str:
        """What kernels become."""
        if self._options.device != "cpu":
            return "cuda"
        return self._options.backend or ("llvm" if has_llvm() else "numpy")

    def entry(
        self,
        slow: Callable[..., Any],
        kept: Callable[[], tuple[list[Array], Kept | None]],
        *,
        single: bool,
        wrap: Callable[[tuple[Array, ...]], Any] | None,
    ) -> Entry | None:
        """A function that calls machine code where it has learned how, and else ``slow``; None where nothing is to be
        learned. ``kept`` tells what is given after the arguments. A call gives the result itself if it is ``single``,
        and otherwise what ``wrap`` makes of the tuple of results, or the tuple."""
        if self.backend != "llvm" or self._options.watch or self._donated:
            return None
        from symgraph.runtime.entry import Answer, Entry, State
        from symgraph.runtime.fields import lie_as_expected

        if not lie_as_expected():
            return None
        answer = Answer(single, wrap)

        def learn(arrays: Sequence[Array]) -> State | None:
            own, places = kept()
            if places is None:
                return None
            every = [*arrays, *own]
            if (recalled := self._recalled(every)) is not None:
                recalled.often()  # what is called so will not be counted
                if (state := recalled.state(places, answer, every)) is not None:
                    return state
            return self.compiled.state(every, places, answer)

        return Entry(slow, learn)

    def source(self, target: str) -> str:
        """The code of all kernels: for "numpy", "llvm", "asm" or "cuda"."""
        if target == "numpy":
            from symgraph.runtime.numpy_backend import source

            return source(self.plan)
        if target == "cuda":
            from symgraph.runtime.cuda_backend import CudaProgram
            from symgraph.runtime.simulator import Simulator

            made = self.compiled if self.backend == "cuda" else CudaProgram(self.plan, Simulator())
            assert isinstance(made, CudaProgram)
            return made.text()
        from symgraph.runtime.native_backend import NativeProgram

        program = self.compiled if self.backend == "llvm" else NativeProgram(self.plan)
        assert isinstance(program, NativeProgram)
        return program.text() if target == "llvm" else program.assembly()

    @cached_property
    def _schedule(self) -> Schedule:
        return schedule(self._program().roots, self._given)
