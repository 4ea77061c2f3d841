"""How the turns of a step's first loop are cut: how many threads take part and how much each claims at a time, or what
one thread does at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from symgraph.graph.dims import Size
from symgraph.optimizations.memory import aligned
from symgraph.optimizations.plan import Step
from symgraph.optimizations.step_cost import step_cost

_WORTH = 20_000.0
"""Nanoseconds of work, as `step_cost` has it, for which another thread is asked."""
_CHUNKS = 4
"""So many a thread: who is late leaves some to others."""
_LONG, _GRAIN = 1024, 64
"""From so many turns on they are claimed in multiples of so many: threads write no line of the cache together."""
LONG = 100_000.0
"""The same for the blocks of long rows, which are read quicker than `step_cost` takes them to be: another thread takes
some microseconds to come."""
_PART = 1 << 17
"""Bytes that one thread goes through at a time."""
_LEAST, _MOST = 1 << 19, 1 << 25
"""From so many bytes on the second cache of some processors does not hold them all; of more than the others, what any
of them holds makes no difference."""


class Shares(NamedTuple):
    """What the threads of a call have."""

    threads: int = 1
    room: int = 0
    """Bytes of each."""
    is_common: bool = False
    """Whether the room is one for all."""

    @property
    def bytes(self) -> int:
        """The room of all."""
        return self.room if self.threads == 1 or self.is_common else self.threads * self._pitch

    def room_of(self, thread: int) -> int:
        """Where that of a thread begins."""
        return thread * self._pitch

    @property
    def _pitch(self) -> int:
        return 0 if self.is_common else aligned(self.room)

    def chunk(self, turns: int, each: int = _CHUNKS) -> int:
        """Turns to claim at a time, ``each`` times a thread."""
        chunk = max(1, -(-turns // (self.threads * each)))
        return chunk if chunk < _LONG else -(-chunk // _GRAIN) * _GRAIN


def part(turns: int, nbytes: int, *, in_vectors: bool = False) -> int:
    """How many turns one thread does at a time of those that go through so many bytes."""
    if not _LEAST <= nbytes <= _MOST:
        return turns
    some, grain = turns * _PART // nbytes, _GRAIN if in_vectors else 1
    return min(turns, max(1, -(-some // grain)) * grain)


def shares(step: Step, sizes: Mapping[Size, int], threads: int, turns: int, room: int) -> Shares:
    """Those of a step whose first loop has so many turns at most, and of which each thread needs so much room."""
    threads = min(threads, turns)
    return Shares(sharing(threads, step_cost(step, sizes)) if threads > 1 else 1, room)


def sharing(threads: int, cost: float) -> int:
    """How many of some threads take part in work of so many nanoseconds."""
    return max(1, min(threads, int(cost / _WORTH)))
