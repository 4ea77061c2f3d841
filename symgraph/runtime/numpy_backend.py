"""A plan as Python functions of NumPy calls: what runs everywhere."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.errors import MemoryLimitError, SymgraphError
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import bind_sizes, schedule
from symgraph.graph.node import Node
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Call, Kernel, Plan, Step, View
from symgraph.optimizations.storage import Storage, store
from symgraph.options import DEFAULT, Target
from symgraph.runtime.kernel import Compiled
from symgraph.runtime.memory import Memory
from symgraph.runtime.prepared import Library, Prepared

Array = np.ndarray[Any, Any]

_KEPT = 64
"""For how many bindings of sizes a program keeps what it knows."""


class NumpyProgram:
    """What runs a plan."""

    def __init__(
        self,
        plan: Plan,
        target: Target = DEFAULT,
        memory: Memory | None = None,
        *,
        donated: Collection[Node] = (),
        limit: int | None = None,
    ) -> None:
        self.plan, self._limit = plan, limit
        self._memory, self._donated = memory or Memory(), frozenset(donated)
        fresh = frozenset(() if donated else plan.results)
        self._kernels: dict[Step, Compiled] = {
            step: Compiled(step, target.block, fresh) for step in plan.kernels
        }
        self._calls: dict[Step, Library] = {
            step: Library(step.node, is_view=isinstance(step, View))
            for step in plan.steps
            if isinstance(step, Call)
        }
        self._storages: OrderedDict[frozenset[tuple[Size, int]], Storage] = OrderedDict()
        self._prepared: dict[tuple[tuple[int, ...], ...], Prepared] = {}
        self._lock = threading.Lock()

    @property
    def source(self) -> str:
        """The functions of all kernels."""
        return "\n\n".join(compiled.short.printed.text for compiled in self._kernels.values())

    def storage(self, sizes: Mapping[Size, int]) -> Storage:
        """Where values lie for these sizes of the arguments."""
        key = frozenset(sizes.items())
        with self._lock:
            if key not in self._storages:
                self._storages[key] = store(
                    self.plan, sizes, lambda step: self._needs(step, sizes), self._donated, self._limit
                )
                if len(self._storages) > _KEPT:
                    self._storages.popitem(last=False)
            return self._storages[key]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results, for arrays that fit the types of what is given; they share memory with those and constants
        alone. What is donated may be overwritten, if no other array shares its memory."""
        shapes = tuple([x.shape for x in arrays])
        prepared = self._prepared.get(shapes)
        if prepared is None:
            prepared = self._prepare(shapes, arrays)
        spent = self._spent(arrays) if self._donated else ()
        return prepared.run(arrays, self._memory, spent)

    def _prepare(self, shapes: tuple[tuple[int, ...], ...], arrays: Sequence[Array]) -> Prepared:
        sizes = bind_sizes(self.plan.given, arrays)
        try:
            storage = self.storage(sizes)
        except MemoryLimitError:
            raise
        except SymgraphError:
            schedule(self.plan.results, self.plan.given).run(arrays)  # names the user's line
            raise
        if len(self._prepared) >= _KEPT:
            self._prepared.clear()
        made = self._prepared[shapes] = Prepared(self.plan, storage, sizes, self._kernels, self._calls)
        return made

    def _spent(self, arrays: Sequence[Array]) -> set[int]:
        """The places of the donated arrays that may be overwritten."""
        return {
            place
            for place, x in enumerate(self.plan.given)
            if x in self._donated and _is_free(arrays[place], arrays)
        }

    def _needs(self, step: Step, sizes: Mapping[Size, int]) -> Needs:
        return self._kernels[step].needs(sizes) if isinstance(step, Kernel) else self._calls[step].needs()


def _is_free(array: Array, arrays: Sequence[Array]) -> bool:
    """Whether an array may be overwritten: it lies in order, and no other of the arrays shares its memory."""
    alone = not any(other is not array and np.may_share_memory(array, other) for other in arrays)
    once = sum(other is array for other in arrays) == 1
    return alone and once and array.flags.carray and array.flags.aligned
