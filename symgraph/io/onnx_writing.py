"""A graph of ONNX in the making: names for values, tensors for constants, sizes as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, TypeVar

import numpy as np

from symgraph.graph.dims import (
    Call,
    Dim,
    Polynomial,
    Size,
    Symbol,
    broadcast,
    dim_floordiv,
    dim_max,
    dim_min,
    dim_mod,
)
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.types import DType
from symgraph.io.onnx_proto import number_of, package
from symgraph.io.onnx_table import Refused

Array = np.ndarray[Any, Any]
F = TypeVar("F", bound=Callable[..., Any])


class Writer:
    """The nodes and tensors of one graph; values go by their names in it.

    ``fill`` gives nodes of symgraph's, and all that they need, values in a writer. One with an ``outer`` writes a graph
    among the attributes of a node: it shares names, tensors, and the sizes that are known so far.
    """

    def __init__(
        self, opset: int, fill: Callable[[Writer, Sequence[Node]], None], outer: Writer | None = None
    ) -> None:
        self.opset = opset
        self.fill = fill
        self.nodes: list[Any] = []
        self.values: dict[Node, str | list[str]] = {}
        self.tensors: list[Any] = [] if outer is None else outer.tensors
        self._taken: set[str] = set() if outer is None else outer._taken
        self._constants: dict[Any, str] = {} if outer is None else outer._constants
        self._sizes: dict[Size, str] = {} if outer is None else dict(outer._sizes)
        self._bound: dict[Size, tuple[str, int]] = {} if outer is None else dict(outer._bound)

    def inner(self) -> Writer:
        """The writer of a graph inside this one."""
        return Writer(self.opset, self.fill, self)

    def put(self, graph: Graph, inputs: Sequence[str]) -> list[str]:
        """The outputs of a graph whose inputs are these values, written here."""
        before, self.values = self.values, dict(zip(graph.inputs, inputs, strict=True))
        try:
            self.fill(self, graph.outputs)
            if any(node not in self.values for node in graph.outputs):
                raise Refused("it holds what ONNX cannot say")
            return [str(self.values[node]) for node in graph.outputs]
        finally:
            self.values = before

    def named(self, wish: str) -> str:
        """A name that nothing else in the graph has."""
        name, number = wish, 2
        while name in self._taken:
            name, number = f"{wish}_{number}", number + 1
        self._taken.add(name)
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The result of a new node."""
        return self.add_many(operator, 1, *inputs, **attributes)[0]

    def add_many(self, operator: str, results: int, *inputs: str, **attributes: Any) -> list[str]:
        """The results of a new node that has several."""
        names = [self.named(f"v{len(self.nodes)}" + (f"_{i}" if results > 1 else "")) for i in range(results)]
        node = package().helper.make_node(operator, list(inputs), names, name=names[0], **attributes)
        self.nodes.append(node)
        return names

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A tensor of the graph; equal ones are one."""
        array = np.asarray(value, dtype)
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.tensor(f"c{len(self._constants)}", array)
        return self._constants[key]

    def tensor(self, wish: str, array: Array) -> str:
        """A tensor of the graph by its own name."""
        name = self.named(wish)
        self.tensors.append(
            package().numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        )
        return name

    def like(self, value: float, row: DType) -> str:
        """A scalar of a dtype."""
        return self.constant(value, row.numpy)

    def ints(self, values: Iterable[int]) -> str:
        return self.constant(list(values), np.int64)

    def cast(self, x: str, row: DType) -> str:
        return self.add("Cast", x, to=number_of(row))

    def bind(self, node: Node, name: str) -> None:
        """Note that this value has the sizes of the node's type."""
        for axis, size in enumerate(node.shape):
            if isinstance(size, Size) and isinstance(size.form, Symbol):
                self._bound.setdefault(size, (name, axis))

    def shape(self, dims: Sequence[Dim]) -> str:
        """An int64 vector of sizes."""
        if all(isinstance(size, int) for size in dims):
            return self.constant(list(dims), np.int64)
        parts = [self.size(size) for size in dims]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def size(self, dim: Dim) -> str:
        """A size as an int64 vector of one element."""
        if isinstance(dim, int):
            return self.ints([dim])
        if dim in self._sizes:
            return self._sizes[dim]
        match dim.form:
            case Symbol() if dim in self._bound:
                name, axis = self._bound[dim]
                found = self.add("Shape", name, start=axis, end=axis + 1)
            case Symbol():
                raise Refused(f"the size {dim}, which is that of no input by itself")
            case Polynomial(terms):
                products = [
                    reduce(
                        lambda a, b: self.add("Mul", a, b),
                        [*map(self.size, atoms), *([self.ints([c])] * (c != 1))],
                    )
                    if atoms
                    else self.ints([c])
                    for atoms, c in terms
                ]
                found = reduce(lambda a, b: self.add("Add", a, b), products)
            case Call(function, args):
                found = self._called(function, [self.size(arg) for arg in args])
        self._sizes[dim] = found
        return found

    def _called(self, function: Any, args: list[str]) -> str:
        if function is dim_floordiv:
            top, bottom = args
            return self.add("Div", self.add("Sub", top, self.add("Mod", top, bottom)), bottom)
        if function is broadcast:
            one = self.ints([1])
            return reduce(lambda a, b: self.add("Where", self.add("Equal", a, one), b, a), args)
        names = {dim_mod: "Mod", dim_max: "Max", dim_min: "Min"}
        if function not in names:
            raise Refused(f"a size with {function.__name__}")
        return self.add(names[function], *args)


Spelling = Callable[..., str | list[str] | None]
SPELLINGS: dict[str, Spelling] = {}
"""What ops are in ONNX: functions of the writer, the node, the names of its inputs, and its attributes.

They give the name of the result, the names of several, or None where the op's definition has to say it.
"""


def spelled(*names: str) -> Callable[[F], F]:
    """Declare what ops are in ONNX: ``@spelled("concat")``."""

    def declare(function: F) -> F:
        SPELLINGS.update(dict.fromkeys(names, function))
        return function

    return declare
