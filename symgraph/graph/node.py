"""Node: one application of an op. Equal nodes are the same object."""

from __future__ import annotations

import threading
from _weakref import _remove_dead_weakref  # type: ignore[attr-defined]
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from weakref import ref

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, SymgraphError
from symgraph.graph.dims import Dim, Size, symbols
from symgraph.graph.operators import Operators
from symgraph.graph.origin import Origin, describe, here, is_inherited
from symgraph.graph.types import DType, TensorType, TupleType, Type

if TYPE_CHECKING:
    from symgraph.graph.op import Attrs, Op


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Node(Operators):
    """``op`` applied to ``inputs`` with ``attrs``; ``type`` is what comes out.

    Nodes are made by ``make`` alone, which returns the node that exists already where there is one: comparing
    two nodes is ``is``, and ``==`` is free to mean the elementwise comparison.
    ``deps`` is what must run before: the inputs, and whatever decides the data-dependent sizes in ``attrs``.
    ``origin`` is the user's line that made it first, and ``settled`` the rules that were found to leave it as it is,
    whatever else a program reads; these take no part in what is equal.
    """

    op: Op
    inputs: tuple[Node, ...]
    attrs: Attrs | None
    type: Type
    deps: tuple[Node, ...]
    origin: Origin | None
    settled: object = field(default=None, init=False)

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The sizes, each an int or a symbolic ``Size``."""
        type = self.type
        return type.shape if isinstance(type, TensorType) else self.tensor.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.tensor.dtype.numpy

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        total: Dim = 1
        for size in self.shape:
            total = total * size
        return total

    @property
    def tensor(self) -> TensorType:
        """The type, for a node that is one array."""
        if not isinstance(self.type, TensorType):
            raise DTypeError(f"{self.op.name} gives {len(self.type.items)} results; take one of them first")
        return self.type

    @property
    def row(self) -> DType:
        """The dtype as symgraph's own row."""
        type = self.type
        return type.dtype if isinstance(type, TensorType) else self.tensor.dtype

    @property
    def name(self) -> str | None:
        """The name of a placeholder or variable; None for anything computed."""
        return getattr(self.attrs, "name", None) if not self.inputs else None

    def __repr__(self) -> str:
        """``<add: f32[n, 10] at train.py:12>``."""
        place = f" at {self.origin.place}" if self.origin else ""
        return f"<{self.name or self.op.name}: {self.type}{place}>"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no len()")
        if not isinstance(self.shape[0], int):
            text = f"len() and iteration need a size known before the call, and axis 0 is {self.shape[0]}"
            raise located(ArgumentError(f"{text}; use x.shape[0]"), [self])
        return self.shape[0]

    def __iter__(self) -> Iterator[Node]:
        """The rows along axis 0, whose size must be known."""
        return iter([self[i] for i in range(len(self))])

    def __bool__(self) -> NoReturn:
        raise self._no_value("bool()", "use sg.where, & or | in place of if, and, or")

    def __int__(self) -> NoReturn:
        raise self._no_value("int()", "use x.astype('int64')")

    def __float__(self) -> NoReturn:
        raise self._no_value("float()", "use x.astype('float64')")

    def __complex__(self) -> NoReturn:
        raise self._no_value("complex()", "use x.astype('complex128')")

    def __index__(self) -> NoReturn:
        raise self._no_value("an index", "use x[i] or sg.take(x, i), which take nodes")

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise self._no_value("a NumPy array", "compile it with sg.function, or use x.eval({...})")

    def _no_value(self, wanted: str, instead: str) -> TypeError:
        error = DTypeError(
            f"{self!r} is a node: it has no value before a call, so it cannot be {wanted}; {instead}"
        )
        return located(error, [self])


MOST_LISTED = 32
"""Operands that a message lists."""
E = TypeVar("E", bound=Exception)


class _Known(ref[Node]):
    """What leads to a live node, and the key of that: as `WeakValueDictionary` has it, made in a third of the time."""

    __slots__ = ("key",)
    key: Any


_live: dict[Any, _Known] = {}
_recorders: dict[int, list[set[Node]]] = {}
"""Of each thread that records, by its number."""
_making = threading.Lock()


def make(
    op: Op,
    inputs: tuple[Node, ...],
    attrs: Attrs | None = None,
    type: Type | None = None,
    origin: Origin | None = None,
) -> Node:
    """The node for this application: the live one if there is one, a new one otherwise.

    Its ``type`` is given by who knows it of an equal node, its ``origin`` by who builds it in the place of another.
    Raises what the op's type rule raises, with the operands and their lines added.
    """
    # Ids, because comparing keys must never compare nodes with ``==``, and because the collector skips tuples of ints.
    key = (id(op), attrs, *map(id, inputs))
    node = _known(key)
    if node is not None:
        if _recorders:
            _record(node)
        return node
    try:
        type = type or op.infer_type(inputs, attrs)
    except SymgraphError as error:
        raise located(error, inputs, call_text(op, inputs)) from None
    with _making:
        node = _known(key)
        if node is None:
            node = Node(op, inputs, attrs, type, _with_sources(inputs, attrs), origin or here())
            if op.binds_sizes:
                _own_sizes(node)
            known = _Known(node, _forget)
            known.key = key
            _live[key] = known
    if _recorders:
        _record(node)
    return node


def _known(key: Any) -> Node | None:
    """The live node for a key."""
    known = _live.get(key)
    return None if known is None else known()


def _forget(known: _Known, live: Any = _live, remove: Any = _remove_dead_weakref) -> None:
    """The node is gone; another of its key may be there already. At the end of a process the module may be too."""
    remove(live, known.key)


@contextmanager
def recorded() -> Iterator[set[Node]]:
    """The nodes that this thread asks `make` for meanwhile, whether they were there before or not."""
    found: set[Node] = set()
    mine = _recorders.setdefault(threading.get_ident(), [])
    mine.append(found)
    try:
        yield found
    finally:
        mine.pop()
        if not mine:
            del _recorders[threading.get_ident()]


def _record(node: Node) -> None:
    for found in _recorders.get(threading.get_ident(), ()):
        found.add(node)


def live() -> list[Node]:
    """Every node that ``make`` has made and something still holds."""
    return [node for known in list(_live.values()) if (node := known()) is not None]


def settle(node: Node, rules: object) -> None:
    """Note that these rules leave a node as it is in every program."""
    object.__setattr__(node, "settled", rules)


def made_here(node: Node) -> Node:
    """The same node, known from now on by the user's line that is running: for leaves, named again and again."""
    if node.origin is None or not is_inherited():
        object.__setattr__(node, "origin", here() or node.origin)
    return node


def located(error: E, operands: Iterable[Node], what: str = "") -> E:
    """The same error, its message led by the call and followed by its operands and the user's line."""
    if getattr(error, "located", False):
        return error
    rows = [(str(x.type), x.name or "", x.origin) for x in islice(operands, MOST_LISTED)]
    found = type(error)(describe(f"{what}: {error}" if what else str(error), rows))
    found.located = True  # type: ignore[attr-defined]
    return found


def call_text(op: Op, inputs: Sequence[Node]) -> str:
    """``add(f32[4, 3], f32[4])``, of many inputs the first."""
    types = [str(x.type) for x in inputs[:MOST_LISTED]]
    return f"{op.name}({', '.join(types)}{', …' if len(inputs) > MOST_LISTED else ''})"


def _with_sources(inputs: tuple[Node, ...], attrs: Attrs | None) -> tuple[Node, ...]:
    """The inputs, and the nodes that decide the data-dependent sizes in ``attrs``."""
    if attrs is None or not (sizes := attrs.symbols()):
        return inputs
    known = set(map(id, inputs))
    sources = {id(size.source): size.source for size in sizes if isinstance(size.source, Node)}
    return inputs + tuple(node for key, node in sources.items() if key not in known)


def _own_sizes(node: Node) -> None:
    """The sizes that first appear in this node's type are decided by its run."""
    given = {size for x in node.inputs for size in type_symbols(x.type)}
    for size in type_symbols(node.type) - given:
        size.source = node


def type_symbols(type: Type) -> frozenset[Size]:
    """Every symbol in the sizes of a type."""
    items = type.items if isinstance(type, TupleType) else (type,)
    found = [symbols(dim) for item in items for dim in item.shape if not isinstance(dim, int)]
    return found[0] if len(found) == 1 else frozenset().union(*found)
