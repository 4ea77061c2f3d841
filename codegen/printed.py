"""What a kernel printed for NumPy asks for: views, rooms, and which arrays may be one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.codegen.loops import Load, Number, Operand, Store
from symgraph.graph.types import DType, dtype


@dataclass(frozen=True, slots=True)
class Room:
    """Space for a value between two calls: of a dtype, for each element of a block or for each of its rows."""

    name: str
    row: DType
    swept: bool
    whole: bool = False
    """For a whole row, be it longer than a block."""


@dataclass(frozen=True, slots=True)
class View:
    """An array as a kernel sees it: a parameter by an index."""

    name: str
    access: Load | Store
    swept: bool


@dataclass(frozen=True, slots=True)
class Printed:
    """A function's text, what it wants to be yielded, and the objects that the text names."""

    text: str
    once: tuple[View | Room, ...]
    rows: tuple[View | Room, ...]
    names: Mapping[str, Any]
    in_place: frozenset[tuple[str, str]]
    """Parameters whose memory another may take over: what is read, and what is written."""


@dataclass(slots=True)
class Marks:
    """The lines at which arrays are read for the last time, and written for the first."""

    _read: dict[str, int] = field(default_factory=dict)
    _written: dict[str, int] = field(default_factory=dict)

    def read(self, param: str, line: int) -> None:
        self._read[param] = line

    def write(self, param: str, line: int, *, after_reading: bool = True) -> None:
        """``after_reading`` says that the call at this line reads an element before it writes it."""
        self._written.setdefault(param, line if after_reading else line - 1)

    def in_place(self, wanted: Sequence[View | Room]) -> frozenset[tuple[str, str]]:
        """What is read at one index, and written at the same, not before it is read for the last time."""
        views: dict[str, list[View]] = {}
        for x in wanted:
            if isinstance(x, View):
                views.setdefault(x.access.param.name, []).append(x)
        return frozenset(
            (read, written)
            for read, last in self._read.items()
            for written, first in self._written.items()
            if last <= first and len(views[read]) == len(views[written]) == 1
            if views[read][0].access.index == views[written][0].access.index
        )


def integer_of(row: DType) -> DType:
    """The dtype of integers of the same size; of bool, itself."""
    return dtype(f"int{row.bits}") if row.is_float else row


def bits_of(x: Number) -> Any:
    """The integer of the same bits."""
    return np.asarray(x.value, x.row.numpy).view(integer_of(x.row).numpy)[()]


def is_nothing(x: Operand) -> bool:
    """Whether it is a number without a bit."""
    return isinstance(x, Number) and not bits_of(x)
