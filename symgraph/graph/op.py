"""Op: what a node applies, and the leaves that every graph starts from."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import keyword
import operator
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.errors import DTypeError, GraphError, ShapeError, SymgraphError
from symgraph.graph.dims import Dim, Size, symbols
from symgraph.graph.node import Node, located, made_here, make
from symgraph.graph.types import DType, TensorType, TupleType, Type, as_shape, dtype


class InnerGraph:
    """What a graph among the attributes has to answer for."""

    __slots__ = ()

    def free_sizes(self) -> frozenset[Size]:
        raise NotImplementedError

    def map_sizes(self, change: Callable[[Size], Dim]) -> Any:
        raise NotImplementedError


class Attrs:
    """Base of the frozen dataclasses that hold an op's attributes: ints, strings, sizes, dtypes, tuples of them.

    Those of one class with equal values are equal. That is said here once, for `dataclass` would compile it anew for
    each of some forty classes whenever symgraph is imported.
    """

    __slots__ = ()

    _values: ClassVar[Any] = operator.attrgetter("__class__")
    """What takes the values out of attributes."""

    def __init_subclass__(cls) -> None:
        if names := inspect.get_annotations(cls):
            cls._values = operator.attrgetter(*names)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bool(self._values(self) == self._values(other))

    def __hash__(self) -> int:
        return hash(self._values(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.fields().items())})"

    def fields(self) -> dict[str, Any]:
        """Field names and values, as they are passed to an op's functions."""
        kind: Any = type(self)
        return {name: getattr(self, name) for name in _field_names(kind)}

    def symbols(self) -> frozenset[Size]:
        """Every symbol in the sizes among the values."""
        return _symbols_in(self._values(self))

    def map_sizes(self, change: Callable[[Size], Dim]) -> Attrs:
        """These attributes with every symbolic size replaced; itself when there is none."""
        old = self.fields()
        new = {name: _map_sizes(value, change) for name, value in old.items()}
        if all(new[name] is old[name] for name in old):
            return self
        return dataclasses.replace(self, **new)  # type: ignore[type-var]


@functools.cache
def _field_names(attrs: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(attrs))


def _symbols_in(value: Any) -> frozenset[Size]:
    if isinstance(value, tuple):
        found = [some for part in value if (some := _symbols_in(part))]
        return found[0] if len(found) == 1 else frozenset().union(*found)
    if isinstance(value, Size):
        return symbols(value)
    if isinstance(value, Attrs):
        return value.symbols()
    return value.free_sizes() if isinstance(value, InnerGraph) else frozenset()


def _map_sizes(value: Any, change: Callable[[Size], Dim]) -> Any:
    match value:
        case Size():
            return change(value)
        case InnerGraph():
            return value.map_sizes(change)
        case tuple():
            new = tuple(_map_sizes(part, change) for part in value)
            return value if all(a is b for a, b in zip(new, value, strict=True)) else new
        case Attrs():
            return value.map_sizes(change)
    return value


@dataclass(slots=True, eq=False, repr=False)
class Op:
    """What a node applies: a name, a type rule, a meaning in NumPy, a derivative.

    The functions take the op's inputs in order and then its attributes by keyword::

        infer(*types, **attrs) -> Type
        numpy(*arrays, **attrs) -> array, or a tuple of arrays for a TupleType
        vjp(g, *inputs, out, **attrs) -> for each input a node, 0 for no slope, or the GradientError to raise
        body(*inputs, **attrs) -> Node

    An op has a ``numpy`` meaning, or a ``body`` that says it in terms of other ops, or both.
    """

    name: str
    infer: Callable[..., Type]
    numpy: Callable[..., Any] | None = None
    vjp: Callable[..., Any] | None = None
    body: Callable[..., Node] | None = None
    attrs: type[Attrs] | None = None
    elementwise: bool = False
    """Whether each element of the result depends on the elements of the inputs at the same place alone."""
    commutative: bool = False
    binds_sizes: bool = False
    """Whether the data decide sizes of the result, which get fresh names."""
    onnx: str | None = None

    def infer_type(self, inputs: tuple[Node, ...], attrs: Attrs | None) -> Type:
        """The type of this op applied to these inputs; raises ShapeError or DTypeError."""
        types = [x.type for x in inputs]
        return self.infer(*types, **attrs.fields()) if attrs is not None else self.infer(*types)

    def __call__(self, *inputs: Node, **attrs: Any) -> Node:
        """The node; no promotion and no defaults, unlike the public function of the same name."""
        return make(self, inputs, self.attrs(**attrs) if self.attrs is not None else None)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


OPS: dict[str, Op] = {}
"""Every op by its name: what the text form can say."""


def register(op: Op) -> Op:
    """Enter an op into ``OPS``; raises GraphError when the name is taken."""
    if OPS.setdefault(op.name, op) is not op:
        raise GraphError(f"there is an op called {op.name} already")
    return op


# Leaves


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlaceholderAttrs(Attrs):
    """A placeholder is its name and type."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True, eq=False)
class VariableAttrs(Attrs):
    """A variable is itself: no two are equal."""

    name: str
    type: TensorType

    __eq__ = object.__eq__
    __hash__ = object.__hash__


class ConstantAttrs(Attrs):
    """An array, compared by dtype, shape and bytes, because ``0.0 == -0.0`` and ``nan != nan``."""

    __slots__ = ("_key", "_number", "value")

    def __init__(self, value: np.ndarray[Any, Any]) -> None:
        self.value = value
        self._number: Any = ...
        if value.nbytes <= 1024:
            content = value.tobytes()
        else:  # where it lies, because a file may be as large as the memory
            flat = np.ascontiguousarray(value).reshape(-1).view("u1")
            content = _hashed(flat.data, 32)
        self._key = (value.dtype, value.shape, content)

    @property
    def digest(self) -> str:
        """A short name for the content: the same on every machine."""
        dtype, shape, content = self._key
        return _hashed(repr((dtype.name, shape)).encode() + content, 8).hex()

    @property
    def number(self) -> Any:
        """The NumPy scalar that every element is, or None where that is not known."""
        if self._number is ...:
            self._number = _number_of(self.value)
        return self._number

    def fields(self) -> dict[str, Any]:
        return {"value": self.value}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConstantAttrs) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


_LARGEST = 1 << 16
"""Elements; of more, nobody asks whether they are all the same."""


def _number_of(value: np.ndarray[Any, Any]) -> Any:
    if value.size == 1:
        return value.reshape(())[()]
    if value.size == 0 or value.size > _LARGEST:
        return None
    first = value.flat[0]
    return first if value.tobytes() == first.tobytes() * value.size else None


def _hashed(content: bytes | memoryview, size: int) -> bytes:
    import hashlib

    return hashlib.blake2b(content, digest_size=size).digest()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ItemAttrs(Attrs):
    index: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SizeAttrs(Attrs):
    size: Dim


def _infer_item(tuple_type: Type, index: int) -> TensorType:
    if not isinstance(tuple_type, TupleType) or not 0 <= index < len(tuple_type.items):
        raise ShapeError(f"{tuple_type} has no result {index}")
    return tuple_type.items[index]


PLACEHOLDER = register(Op("placeholder", infer=lambda name, type: type, attrs=PlaceholderAttrs))
VARIABLE = register(Op("variable", infer=lambda name, type: type, attrs=VariableAttrs))
CONSTANT = register(
    Op(
        "constant",
        infer=lambda value: TensorType(dtype(value.dtype), value.shape),
        numpy=lambda value: value,
        attrs=ConstantAttrs,
    )
)
ITEM = register(Op("item", infer=_infer_item, numpy=lambda results, index: results[index], attrs=ItemAttrs))
PACK = register(Op("pack", infer=lambda *types: TupleType(types), numpy=lambda *arrays: arrays))
SIZE = register(
    Op(
        "size_value",
        infer=lambda size: TensorType(dtype("int64"), ()),
        numpy=lambda size: np.asarray(size, np.int64),
        attrs=SizeAttrs,
    )
)
_unnamed = itertools.count()


def placeholder(dtype_: object, shape: object = None, name: str | None = None) -> Node:
    """An input: a dtype, sizes and a name.

    A size is an int, a name (one name is one size wherever it is used), an expression of names such as
    ``"2*n"``, or None for a size without a name. Two placeholders of one name and type are the same node.

    >>> placeholder("float32", ("batch", 784), name="x").type
    f32[batch, 784]

    Raises DTypeError and ShapeError for what is no dtype or size, GraphError for a name that is no identifier.
    """
    try:
        type = TensorType(dtype(dtype_), as_shape(shape))
    except SymgraphError as error:
        raise located(error, []) from None
    if name is None:
        name = f"_{next(_unnamed)}"
    elif not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name[0] == "_":
        text = "it must be an identifier that does not begin with an underscore"
        raise located(GraphError(f"{name!r} cannot be the name of a placeholder: {text}"), [])
    as_python_reads_it = unicodedata.normalize("NFKC", name)
    return made_here(PLACEHOLDER(name=as_python_reads_it, type=type))


def constant(value: object, dtype_: object = None) -> Node:
    """An array that is part of the program, copied; equal constants are the same node.

    >>> constant([1.0, 2.0]).type
    f64[2]

    Raises DTypeError for what is no array of numbers or does not fit the dtype.
    """
    wanted = None if dtype_ is None else dtype(dtype_).numpy
    try:
        array = np.array(value, dtype=wanted, order="C")
        row = dtype(array.dtype)
    except DTypeError:
        raise located(DTypeError(f"{value!r} is no array of numbers"), []) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise located(DTypeError(f"no constant can be made of {value!r}: {error}"), []) from None
    array = array.astype(row.numpy, copy=False)
    array.setflags(write=False)
    return made_here(CONSTANT(value=array))


def item(node: Node, index: int) -> Node:
    """One result of an op with several."""
    return ITEM(node, index=index)


def items(node: Node) -> tuple[Node, ...]:
    """All results of an op with several."""
    if not isinstance(node.type, TupleType):
        raise DTypeError(f"{node!r} has one result")
    return tuple(item(node, i) for i in range(len(node.type.items)))


def pack(*nodes: Node) -> Node:
    """Several nodes as the results of one."""
    return PACK(*nodes)


def size_value(size: Dim) -> Node:
    """A size as an int64 scalar; a known one is a constant."""
    return SIZE(size=size) if isinstance(size, Size) else constant(size, "int64")


def as_node(value: object, like: DType | None = None) -> Node:
    """The node for what a user passed where a node is expected.

    A Python number takes the dtype of ``like`` if that can hold its kind, else NumPy's default.
    """
    match value:
        case Node():
            return value
        case Size():
            return size_value(value)
        case bool() | int() | float() | complex() if like is not None and not isinstance(value, np.generic):
            return constant(value, like)
        case list() | tuple() if any(isinstance(part, Node | Size) for part in value):
            raise DTypeError("a list of nodes is no array; join them with sg.stack or sg.concat")
    return constant(value)
