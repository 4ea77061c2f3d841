"""A call of an operator, as its rule sees it: the opset, what is known of values, and graphs among the attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Size
from symgraph.graph.node import Node
from symgraph.graph.types import DType
from symgraph.io.onnx_known import Known
from symgraph.io.onnx_proto import Source, dtype_of, type_name
from symgraph.io.onnx_table import Refused, Unknown

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One node of the model: ``outputs`` says of each result whether anybody reads it."""

    operator: str
    opset: int
    outputs: tuple[bool, ...]
    source: Source
    table: Known
    run: Callable[[Any, Sequence[Node]], list[Node]]
    """The outputs of a graph among the attributes, for these inputs."""

    def wants(self, place: int) -> bool:
        """Whether the result at this place is asked for."""
        return place < len(self.outputs) and self.outputs[place]

    def array(self, x: Node | Any) -> Array:
        """The known value of a node; raises Unknown where sizes that the call binds are among its elements."""
        value = self.table.value(x) if isinstance(x, Node) else np.asarray(x)
        if value.dtype == object:
            raise Unknown(f"a value depends on the sizes {', '.join(map(str, value.flat))}")
        return value

    def _whole(self, value: Array) -> Array:
        if value.dtype.kind == "c":
            raise Refused(f"takes whole numbers, not {value.dtype}")
        return value

    def dims(self, x: Node | Sequence[int]) -> tuple[Dim, ...]:
        """The known elements of a vector, or of a scalar, as sizes."""
        values = self._whole(self.table.value(x)).ravel() if isinstance(x, Node) else x
        return tuple(each if isinstance(each, Size) else int(each) for each in values)

    def ints(self, x: Node | Sequence[int]) -> tuple[int, ...]:
        """The known elements of a vector, or of a scalar."""
        return tuple(int(each) for each in (self._whole(self.array(x)).ravel() if isinstance(x, Node) else x))

    def number(self, x: Node | Any) -> Any:
        """The known value of a scalar, or of the one element of an array."""
        value = self.array(x)
        if value.size != 1:
            raise Refused(f"takes one number, not an array of shape {value.shape}")
        return value.reshape(())[()].item()

    def axes(self, x: Node | Sequence[int] | None, rank: int) -> tuple[int, ...] | None:
        """Known axes counted from the front, or None."""
        if x is None:
            return None
        axes = self.ints(x)
        if any(not -rank <= axis < rank for axis in axes):
            raise Refused(f"axes {axes} of an array with {rank} axes")
        return tuple(axis % rank for axis in axes)

    def row(self, number: int) -> DType:
        """The dtype that ONNX gives this number."""
        row = dtype_of(number)
        if row is None:
            raise Refused(f"the type {type_name(number)}, which symgraph does not have")
        return row


def fixed(size: Dim, what: str) -> int:
    """A size that has to be known when the model is imported."""
    if isinstance(size, Size):
        raise Unknown(f"{what} is {size}, and must be known")
    return size
