"""A graph of ONNX in the making: names for values, tensors for constants, sizes as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
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
from symgraph.graph.types import BY_NAME, DTYPES, DType
from symgraph.graph.types import dtype as as_row
from symgraph.io.onnx_proto import number_of, package
from symgraph.io.onnx_table import Refused

Array = np.ndarray[Any, Any]
F = TypeVar("F", bound=Callable[..., Any])


class Writer:
    """The nodes and tensors of one graph; values go by their names in it.

    ``fill`` gives nodes of symgraph's, and all that they need, values in a writer. One with an ``outer`` writes a graph
    among the attributes of a node: it shares names, tensors, constants, and the sizes that are known so far. ``rows``
    has the dtypes of values, as far as they are known.
    """

    def __init__(
        self, opset: int, fill: Callable[[Writer, Sequence[Node]], None], outer: Writer | None = None
    ) -> None:
        self.opset = opset
        self.fill = fill
        self.nodes: list[Any] = []
        self.values: dict[Node, str | list[str]] = {}
        self.rows: dict[str, DType] = {} if outer is None else outer.rows
        self.tensors: list[Any] = [] if outer is None else outer.tensors
        self.constants: list[Any] = [] if outer is None else outer.constants
        self._taken: set[str] = set() if outer is None else outer._taken
        self._known: dict[Any, str] = {} if outer is None else outer._known
        self._sizes: dict[Size, str] = {} if outer is None else dict(outer._sizes)
        self._bound: dict[Size, tuple[str, int]] = {} if outer is None else dict(outer._bound)

    def inner(self) -> Writer:
        """The writer of a graph inside this one."""
        return Writer(self.opset, self.fill, self)

    def put(self, graph: Graph, inputs: Sequence[str]) -> list[str]:
        """The outputs of a graph whose inputs are these values, written here."""
        before, self.values = self.values, {}
        for node, name in zip(graph.inputs, inputs, strict=True):
            self.values[node] = name
            self.rows[name] = node.row
        try:
            self.fill(self, graph.outputs)
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
        """The results of a new node that has several.

        Where ONNX's operator does not take a dtype, it is given the next wider one, and its results are cast back.
        Raises Refused where there is none.
        """
        signature = signature_of(operator, self.opset)
        rows = signature.rows([self.rows.get(name) for name in inputs])
        wide = {name: signature.wider(name, row) for name, row in rows.items()}
        given = [
            self.cast(x, wide[kind]) if x and kind in wide and wide[kind] is not self.rows.get(x) else x
            for x, kind in zip(inputs, signature.kinds(len(inputs)), strict=True)
        ]
        names = [self.named(f"v{len(self.nodes)}" + (f"_{i}" if results > 1 else "")) for i in range(results)]
        node = package().helper.make_node(operator, given, names, name=names[0], **attributes)
        self.nodes.append(node)
        found = []
        for name, kind in zip(names, signature.results, strict=False):
            row = wide.get(kind) or signature.fixed(kind)
            if row is not None:
                self.rows[name] = row
            found.append(
                self.cast(name, rows[kind]) if kind in wide and wide[kind] is not rows[kind] else name
            )
        return found + names[len(found) :]

    def constant(self, value: Any, dtype: Any = None) -> str:
        """The result of a Constant, which stands before all other nodes of the model; equal ones are one."""
        array = np.asarray(value, dtype)
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = name = self.named(f"c{len(self._known)}")
            self.rows[name] = as_row(array.dtype)
            made = package().helper.make_node("Constant", [], [name], value=_tensor(array, name))
            self.constants.append(made)
        return self._known[key]

    def tensor(self, wish: str, array: Array) -> str:
        """A tensor of the model by its own name."""
        name = self.named(wish)
        self.rows[name] = as_row(array.dtype)
        self.tensors.append(_tensor(array, name))
        return name

    def like(self, value: float, row: DType) -> str:
        """A scalar of a dtype."""
        return self.constant(value, row.numpy)

    def ints(self, values: Iterable[int]) -> str:
        return self.constant(list(values), np.int64)

    def cast(self, x: str, row: DType) -> str:
        found = self.add("Cast", x, to=number_of(row))
        self.rows[found] = row
        return found

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


def _tensor(array: Array, name: str) -> Any:
    return package().numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


# What operators take


_WIDER = {
    "float16": ("float32", "float64"), "bfloat16": ("float32", "float64"), "float32": ("float64",),
    "int8": ("int32", "int64"), "int16": ("int32", "int64"), "int32": ("int64",),
    "uint8": ("int32", "int64", "uint32", "uint64"), "uint16": ("int32", "int64", "uint32", "uint64"),
    "uint32": ("int64", "uint64"),
}  # fmt: skip
"""In what a dtype can be computed where an operator does not take it, the next one first."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What an operator takes and gives: names of types, or types; and which dtypes may stand for a name."""

    operator: str
    opset: int
    inputs: tuple[str, ...]
    rest: str | None
    """The type of all further inputs; None where each has its own."""
    results: tuple[str, ...]
    allowed: Mapping[str, frozenset[str]]

    def kinds(self, count: int) -> list[str]:
        """The types of this many inputs, empty where nothing is said."""
        return [*self.inputs[:count], *[self.rest or ""] * (count - len(self.inputs))]

    def rows(self, given: Sequence[DType | None]) -> dict[str, DType]:
        """What stands for the names of types, by the first input of each."""
        found: dict[str, DType] = {}
        for kind, row in zip(self.kinds(len(given)), given, strict=True):
            if row is not None and kind in self.allowed:
                found.setdefault(kind, row)
        return found

    def wider(self, kind: str, row: DType) -> DType:
        """The dtype itself, or the next that the operator takes; raises Refused where there is none."""
        for name in (row.name, *_WIDER.get(row.name, ())):
            if _SPELLED.get(name, name) in self.allowed[kind]:
                return BY_NAME[name]
        raise Refused(f"{self.operator} of opset {self.opset} does not take {row.name}")

    def fixed(self, kind: str) -> DType | None:
        """The dtype that a type is, where it is no name."""
        return next((row for row in DTYPES if kind == f"tensor({_SPELLED.get(row.name, row.name)})"), None)


_SPELLED = {"float32": "float", "float64": "double"}


@cache
def signature_of(operator: str, opset: int) -> Signature:
    """That of ONNX's schema."""
    schema = package().defs.get_schema(operator, opset, "")
    inputs, rest = [each.type_str for each in schema.inputs], None
    if schema.inputs and schema.inputs[-1].option == package().defs.OpSchema.FormalParameterOption.Variadic:
        last = inputs.pop()
        rest = last if schema.inputs[-1].is_homogeneous else None
    results = [each.type_str for each in schema.outputs]
    if schema.outputs[-1].option == package().defs.OpSchema.FormalParameterOption.Variadic:
        results.pop()
    allowed = {
        each.type_param_str: frozenset(
            text.removeprefix("tensor(").removesuffix(")")
            for text in each.allowed_type_strs
            if text.startswith("tensor(")
        )
        for each in schema.type_constraints
    }
    return Signature(operator, opset, tuple(inputs), rest, tuple(results), allowed)


# The table


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
