"""Programs as lists of what they do, for peers that are told programs as text or as graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from peers.peer import CannotSay, Names, names


@dataclass(eq=False)
class Value:
    """An input, a number, or what an operation on other values finds."""

    op: str
    inputs: Sequence[Value] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: Any) -> Value:
        return do("add", self, other)

    def __radd__(self, other: Any) -> Value:
        return do("add", other, self)

    def __sub__(self, other: Any) -> Value:
        return do("subtract", self, other)

    def __rsub__(self, other: Any) -> Value:
        return do("subtract", other, self)

    def __mul__(self, other: Any) -> Value:
        return do("multiply", self, other)

    def __rmul__(self, other: Any) -> Value:
        return do("multiply", other, self)

    def __truediv__(self, other: Any) -> Value:
        return do("divide", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return do("divide", other, self)

    def __matmul__(self, other: Any) -> Value:
        return do("matmul", self, other)

    def __gt__(self, other: Any) -> Value:
        return do("greater", self, other)

    def __neg__(self) -> Value:
        return do("negative", self)

    @property
    def T(self) -> Value:
        return do("transpose", self)


def do(op: str, *operands: Any, **attributes: Any) -> Value:
    """The value of an operation; operands that are no values are numbers."""
    inputs = [x if isinstance(x, Value) else Value("number", attributes={"number": x}) for x in operands]
    return Value(op, inputs, attributes)


ELEMENTWISE = [
    "abs",
    "cos",
    "erf",
    "exp",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "sin",
    "sqrt",
    "tanh",
    "where",
]
REDUCTIONS = ["max", "mean", "sum"]


def traced(workload: Any, *, native: Sequence[str] = ()) -> tuple[dict[str, Value], list[Value]]:
    """The inputs of a workload and its results, of elementwise operations, sums, and what the peer has itself."""
    if workload.updates:
        raise CannotSay("weights that change")
    inputs = {name: Value("input", attributes={"name": name}) for name in workload.inputs}
    results = workload.program(_names(native), *inputs.values())
    return inputs, list(results) if isinstance(results, list | tuple) else [results]


def in_order(results: Sequence[Value]) -> Iterator[Value]:
    """Each value once, after what it is computed from."""
    seen = set[int]()
    stack = [(x, False) for x in reversed(results)]
    while stack:
        x, is_ready = stack.pop()
        if is_ready:
            yield x
        elif id(x) not in seen:
            seen.add(id(x))
            stack += [(x, True), *((each, False) for each in reversed(x.inputs))]


def _names(native: Sequence[str]) -> Names:
    own: dict[str, Callable[..., Any]] = {op: _elementwise(op) for op in (*ELEMENTWISE, *native)}
    own |= {op: _reduction(op) for op in REDUCTIONS}
    return names(SimpleNamespace(), **own)


def _elementwise(op: str) -> Callable[..., Value]:
    return lambda *operands: do(op, *operands)


def _reduction(op: str) -> Callable[..., Value]:
    return lambda x, axis=None, keepdims=False: do(op, x, axis=axis, keepdims=keepdims)
