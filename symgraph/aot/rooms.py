"""The memory that a function is given for what its steps leave to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symgraph.graph.dims import Dim, Size, fresh
from symgraph.optimizations.memory import Buffer, aligned, place


@dataclass(slots=True, eq=False)
class Room:
    """Memory from one step to another, both included; ``at`` is a name for where it begins."""

    at: Size
    size: Dim
    """Bytes."""
    first: int
    last: int


class Rooms:
    """Who needs memory, and when."""

    def __init__(self) -> None:
        self.now = 0
        """The number of the step."""
        self._rooms: list[Room] = []

    def take(self, size: Dim) -> Room:
        """Memory from this step on, until somebody says that it lasts longer."""
        made = Room(fresh("at"), size, self.now, self.now)
        self._rooms.append(made)
        return made

    def placed(self) -> tuple[Mapping[Size, Dim], Dim]:
        """Where each begins, and how much they need together.

        Rooms whose sizes are numbers are packed; of the others those take the place of one another that are equal.
        """
        known = [room for room in self._rooms if isinstance(room.size, int)]
        arena = place([Buffer(str(room.at), int(room.size), room.first, room.last) for room in known])
        found: dict[Size, Dim] = {room.at: at for room, at in zip(known, arena.offsets, strict=True)}
        end: Dim = arena.size
        slots: dict[Dim, list[tuple[int, Dim]]] = {}
        """By size: until when each is taken, and where it is."""
        for room in self._rooms:
            if isinstance(room.size, int):
                continue
            of_size = slots.setdefault(room.size, [])
            free = next((slot for slot in of_size if slot[0] < room.first), None)
            if free is None:
                at, end = end, end + whole_lines(room.size)
            else:
                of_size.remove(free)
                at = free[1]
            of_size.append((room.last, at))
            found[room.at] = at
        return found, end


def whole_lines(size: Dim) -> Dim:
    """The next multiple of a line of the cache."""
    return aligned(size) if isinstance(size, int) else -(-size // 64) * 64
