"""What runs a plan, whatever its kernels become."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from symgraph.errors import MemoryLimitError, SymgraphError
from symgraph.graph.collector import paused
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import bind_sizes, schedule
from symgraph.graph.node import Node
from symgraph.optimizations.lives import Needs
from symgraph.optimizations.plan import Branch, Call, Kernel, Loop, Plan, Step, View
from symgraph.optimizations.storage import Storage, store
from symgraph.runtime.inner import inner_step
from symgraph.runtime.memory import Memory
from symgraph.runtime.prepared import KernelCode, Library, Prepared

if TYPE_CHECKING:
    from symgraph.runtime.entry import Answer, State
    from symgraph.runtime.kept import Kept

Array = np.ndarray[Any, Any]

_OFTEN = 3
"""From the how manieth call on with arrays of the same shapes a program is run often."""
_KEPT = 64
"""For how many bindings of sizes a program keeps what it knows."""


class PlanProgram(ABC):
    """A plan whose kernels, and maybe other steps, became code."""

    language: ClassVar[str] = ""
    """What the backend is for, where there are kernels that it cannot say."""

    def __init__(
        self,
        plan: Plan,
        codes: Mapping[Step, KernelCode],
        memory: Memory | None = None,
        *,
        left: Mapping[Kernel, str] | None = None,
        donated: Collection[Node] = (),
        limit: int | None = None,
        is_part: bool = False,
    ) -> None:
        self.plan, self._limit = plan, limit
        self.left = dict(left or {})
        """What of a kernel cannot be said in the language yet."""
        self._memory, self.donated = memory or Memory(), frozenset(donated)
        self.codes: dict[Step, KernelCode] = dict(codes)
        for step in plan.steps:
            if isinstance(step, Loop | Branch):
                self.codes[step] = self._inner(step)
        self._calls: dict[Step, Library] = {
            step: Library(step.node, is_view=isinstance(step, View), copies=is_part)
            for step in plan.steps
            if isinstance(step, Call) and step not in self.codes
        }
        self._storages: OrderedDict[frozenset[tuple[Size, int]], Storage] = OrderedDict()
        self._prepared: dict[Hashable, Prepared] = {}
        self._lock = threading.Lock()

    def storage(self, sizes: Mapping[Size, int]) -> Storage:
        """Where values lie for these sizes of the arguments."""
        key = frozenset(sizes.items())
        with self._lock:
            if key not in self._storages:
                self._storages[key] = store(
                    self.plan, sizes, lambda step: self._needs(step, sizes), self.donated, self._limit
                )
                if len(self._storages) > _KEPT:
                    self._storages.popitem(last=False)
            return self._storages[key]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results, for arrays that fit the types of what is given. They share memory with nothing but what is
        donated, which may be overwritten if no other array shares its memory."""
        prepared = self.prepared(arrays)
        spent = self._spent(arrays) if self.donated else ()
        prepared.runs += 1
        if prepared.runs == _OFTEN:
            self.often(prepared)
        return prepared.run(arrays, self._memory, spent)

    def run_part(self, arrays: Sequence[Array], sizes: Mapping[Size, int]) -> list[Array]:
        """The results of a plan that is a part of another, whose ``sizes`` are known."""
        return self.prepared(arrays, sizes).run(arrays, self._memory, ())

    @abstractmethod
    def part(self, plan: Plan) -> PlanProgram:
        """A program of the same kind for a part of the plan."""

    def prepared(self, arrays: Sequence[Array], known: Mapping[Size, int] | None = None) -> Prepared:
        """The turns for arrays of these shapes, and sizes that are known but for them."""
        shapes = tuple([x.shape for x in arrays])
        key = (shapes, tuple(known.items())) if known else shapes
        return self._prepared.get(key) or self._prepare(key, arrays, known or {})

    def _prepare(self, key: Hashable, arrays: Sequence[Array], known: Mapping[Size, int]) -> Prepared:
        sizes = {**known, **bind_sizes(self.plan.given, arrays)}
        try:
            storage = self.storage(sizes)
        except MemoryLimitError:
            raise
        except SymgraphError:
            schedule(self.plan.results, self.plan.given).run(arrays)  # names the user's line
            raise
        if len(self._prepared) >= _KEPT:
            self._prepared.clear()
        with paused():
            made = Prepared(self.plan, storage, sizes, self.codes, self._calls)
            self.get_ready(made, arrays)
        self._prepared[key] = made
        return made

    def get_ready(self, prepared: Prepared, arrays: Sequence[Array]) -> None:  # noqa: B027  (there may be nothing)
        """What a backend does before the first call with arrays of some shapes."""

    @property
    def of_device(self) -> Callable[[Any], Any] | None:
        """What makes an array of another library that lies on the program's device one of it."""
        return None

    def of_host(self, array: Array) -> Array:
        """An array of NumPy's as one that steps take."""
        return array

    def home(self, array: Any) -> Array:
        """An array of the program's device as one of NumPy's."""
        return np.asarray(array)

    def explain(self) -> str:
        """Which kernels are not in the backend's language, and why; nothing where all are."""
        return "\n".join(
            f"  {step.name} is loops of NumPy calls: there is no {self.language} for {why}"
            for step, why in self.left.items()
        )

    def state(self, arrays: Sequence[Array], kept: Kept, answer: Answer) -> State | None:
        """What `entry.ll` needs for calls with such arrays; None where they have to go through Python."""
        return None

    def often(self, prepared: Prepared) -> None:  # noqa: B027  (there may be nothing)
        """What it does when there have been some."""

    def _inner(self, step: Loop | Branch) -> KernelCode:
        """A step that holds plans."""
        return inner_step(self, step)

    def _spent(self, arrays: Sequence[Array]) -> set[int]:
        """The places of the donated arrays that may be overwritten."""
        return {
            place
            for place, x in enumerate(self.plan.given)
            if x in self.donated and _is_free(arrays[place], arrays)
        }

    def _needs(self, step: Step, sizes: Mapping[Size, int]) -> Needs:
        return (self.codes[step] if step in self.codes else self._calls[step]).needs(sizes)


def _is_free(array: Array, arrays: Sequence[Array]) -> bool:
    """Whether an array may be overwritten: it lies in order, and no other of the arrays shares its memory."""
    alone = not any(other is not array and np.may_share_memory(array, other) for other in arrays)
    once = sum(other is array for other in arrays) == 1
    return alone and once and array.flags.carray and array.flags.aligned
