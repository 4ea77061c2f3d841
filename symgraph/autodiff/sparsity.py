"""Which elements of a node can depend on which of another: read from the graph, for sizes that are known.

An element is counted where its slope may be other than zero; the slope of what is left out is 0 whatever the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from symgraph.autodiff.reverse import STOP_GRADIENT, is_inexact
from symgraph.errors import GradientError
from symgraph.graph.evaluate import schedule
from symgraph.graph.node import Node, located
from symgraph.graph.op import PLACEHOLDER, VARIABLE, Op
from symgraph.graph.types import TensorType
from symgraph.graph.walk import expand, toposort
from symgraph.ops import reduce
from symgraph.ops.arithmetic import multiply, where
from symgraph.ops.broadcast import broadcast_to, sum_to
from symgraph.ops.custom import CALL
from symgraph.ops.index import index
from symgraph.ops.join import concat, pad
from symgraph.ops.linalg import matmul
from symgraph.ops.norm import norm
from symgraph.ops.scan import cumulative_prod, cumulative_sum, shift
from symgraph.ops.shape import expand_dims, reshape, squeeze, transpose
from symgraph.ops.softmax import logsumexp
from symgraph.ops.sort import sort
from symgraph.ops.update import update

Ids: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Link: TypeAlias = tuple[Ids, Ids]
"""Pairs of an element of a result and one of an input that it reads, by their places in row-major order."""
Values: TypeAlias = Callable[[Node], Any]
"""The array that a node is in every call, or None."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The columns of each row: in row ``i`` they are ``columns[starts[i]:starts[i + 1]]``, in order."""

    starts: Ids
    columns: Ids
    width: int

    @property
    def height(self) -> int:
        return len(self.starts) - 1

    @property
    def is_full(self) -> bool:
        return len(self.columns) == self.height * self.width

    @property
    def rows(self) -> Ids:
        """The row of each entry."""
        return np.repeat(np.arange(self.height), np.diff(self.starts))

    def transposed(self) -> Pattern:
        return pattern(self.columns, self.rows, (self.width, self.height))


def pattern(rows: Ids, columns: Ids, shape: tuple[int, int]) -> Pattern:
    """The pattern with these entries, which may come in any order and more than once."""
    height, width = shape
    places = np.unique(rows * max(width, 1) + columns)
    rows, columns = np.divmod(places, max(width, 1))
    return Pattern(np.searchsorted(rows, np.arange(height + 1)), columns, width)


def sparsity(output: Node, x: Node) -> Pattern:
    """Which elements of the output can depend on which of ``x``.

    Followed are elementwise ops, moves, slices, sums and running sums, joins, updates and gathers at constant places,
    matrix products, and the bodies of composites; all results of another op are taken to depend on all that its inputs
    depend on. Products with zeros of a constant depend on nothing.

    >>> x = placeholder("float64", (3,), name="x")
    >>> found = sparsity(x[1:] - x[:-1], x)
    >>> found.rows.tolist(), found.columns.tolist()
    ([0, 0, 1, 1], [0, 1, 1, 2])

    Raises GradientError for sizes that are not known.
    """
    for node in (output, x):
        if not _is_known(node):
            text = f"{node!r} has sizes that are not known, so that it has no pattern of nonzero slopes"
            raise located(GradientError(text), [node])
    width = _count(x)
    found = _followed(output, {x: Pattern(np.arange(width + 1), np.arange(width), width)}, width)
    return _none(output, width) if found is None else found


def _followed(
    root: Node, known: Mapping[Node, Pattern], width: int, given: Iterable[Node] = ()
) -> Pattern | None:
    """The pattern of the root from those of nodes before it; nothing behind ``given`` is looked at."""
    found = dict(known)
    fixed: set[Node] = set()
    stop = {*known, *given}

    def values(node: Node) -> Any:
        return schedule([node], []).run([])[0] if node in fixed else None

    for node in toposort([root], stop=stop):
        if node in found:
            continue
        if found.keys().isdisjoint(node.inputs):
            if node not in stop and node.op not in (PLACEHOLDER, VARIABLE) and fixed.issuperset(node.deps):
                fixed.add(node)
        elif is_inexact(node) and node.op is not STOP_GRADIENT:
            found[node] = _pattern_of(node, found, values, width)
    return found.get(root)


def _pattern_of(node: Node, found: Mapping[Node, Pattern], values: Values, width: int) -> Pattern:
    op = node.op
    moving = [x for x in node.inputs if x in found]
    if all(map(_is_known, (node, *node.inputs))):
        links = (
            _elementwise(node, values) if op.elementwise else LINKS[op](node, values) if op in LINKS else None
        )
        if links is not None:
            pairs = zip(node.inputs, links, strict=True)
            return _through([(found[x], link) for x, link in pairs if x in found], node, width)
        if op.body is not None and op is not CALL:
            inner = _followed(expand(node), {x: found[x] for x in moving}, width, given=node.inputs)
            return _none(node, width) if inner is None else inner
    every = np.unique(np.concatenate([found[x].columns for x in moving]))
    height = _count(node) if _is_known(node) else 1
    return Pattern(np.arange(height + 1) * len(every), np.tile(every, height), width)


def _through(parts: Sequence[tuple[Pattern, Link]], node: Node, width: int) -> Pattern:
    """What a node depends on where it reads elements of patterns."""
    shape = (_count(node), width)
    if any(read.is_full and len(np.unique(outs)) == shape[0] for read, (outs, _) in parts):
        return _full(*shape)
    rows, columns = [], []
    for read, (outs, ins) in parts:
        starts, lengths = read.starts[ins], np.diff(read.starts)[ins]
        rows.append(np.repeat(outs, lengths))
        before = np.cumsum(lengths) - lengths
        columns.append(read.columns[np.arange(lengths.sum()) + np.repeat(starts - before, lengths)])
    return pattern(np.concatenate(rows), np.concatenate(columns), shape)


def _full(height: int, width: int) -> Pattern:
    return Pattern(np.arange(height + 1) * width, np.tile(np.arange(width), height), width)


def _none(node: Node, width: int) -> Pattern:
    return Pattern(np.zeros(_count(node) + 1, np.int64), np.zeros(0, np.int64), width)


def _is_known(node: Node) -> bool:
    return isinstance(node.type, TensorType) and all(isinstance(size, int) for size in node.shape)


def _sizes(node: Node) -> tuple[int, ...]:
    return tuple(int(size) for size in node.shape)


def _count(node: Node) -> int:
    return prod(_sizes(node))


def _ids(node: Node) -> Ids:
    return np.arange(_count(node)).reshape(_sizes(node))


def _fields(node: Node) -> dict[str, Any]:
    return node.attrs.fields() if node.attrs is not None else {}


# Links, for each input of an op; None where they are not known


def _elementwise(node: Node, values: Values) -> list[Link]:
    outs = _ids(node).ravel()
    links = []
    for place, x in enumerate(node.inputs):
        ins = np.broadcast_to(_ids(x), _sizes(node)).ravel()
        reads = _reads(node, place, values)
        kept = slice(None) if reads is None else np.broadcast_to(reads, _sizes(node)).ravel()
        links.append((outs[kept], ins[kept]))
    return links


def _reads(node: Node, place: int, values: Values) -> Any:
    """Where the result depends on an input, if a constant says so."""
    if node.op is multiply.op:
        factor = values(node.inputs[1 - place])
        return None if factor is None else factor != 0
    if node.op is where.op and place:
        condition = values(node.inputs[0])
        return None if condition is None else condition if place == 1 else ~condition
    return None


def _moved(node: Node, values: Values) -> list[Link] | None:
    x, *others = node.inputs
    arrays = [values(array) for array in others]
    if any(array is None for array in arrays) or node.op.numpy is None:
        return None
    ins = node.op.numpy(_ids(x), *arrays, **_fields(node))
    link = (_ids(node).ravel(), np.asarray(ins).ravel())
    return [link for _ in node.inputs]


def _reduced(node: Node, values: Values) -> list[Link]:
    (x,) = node.inputs
    axes = _fields(node)["axes"]
    kept = [1 if axis in axes else size for axis, size in enumerate(_sizes(x))]
    return [(np.broadcast_to(_ids(node).reshape(kept), _sizes(x)).ravel(), _ids(x).ravel())]


def _summed_to(node: Node, values: Values) -> list[Link]:
    (x,) = node.inputs
    return [(np.broadcast_to(_ids(node), _sizes(x)).ravel(), _ids(x).ravel())]


def _running(node: Node, values: Values) -> list[Link]:
    fields = _fields(node)
    lines = _lines(node, fields["axis"])
    after, before = np.tril_indices(lines.shape[-1], -1 if fields["exclusive"] else 0)
    outs, ins = (before, after) if fields["reverse"] else (after, before)
    return [(lines[:, outs].ravel(), lines[:, ins].ravel())]


def _sorted(node: Node, values: Values) -> list[Link]:
    lines = _lines(node, _fields(node)["axis"])
    outs, ins = np.broadcast_arrays(lines[:, :, None], lines[:, None, :])
    return [(outs.ravel(), ins.ravel())]


def _lines(node: Node, axis: int) -> Ids:
    """The places of the elements along an axis, a row for each of the others'."""
    sizes = _sizes(node)
    return np.moveaxis(_ids(node), axis, -1).reshape(_count(node) // max(sizes[axis], 1), sizes[axis])


def _shifted(node: Node, values: Values) -> list[Link]:
    assert node.op.numpy is not None
    return [_marked(node.op.numpy(_ids(node.inputs[0]) + 1, **_fields(node)))]


def _marked(places: Ids) -> Link:
    """From an array that has for each element the place that it reads, counted from 1, or 0."""
    places = places.ravel()
    (outs,) = np.nonzero(places)
    return outs, places[outs] - 1


def _joined(node: Node, values: Values) -> list[Link]:
    axis = _fields(node)["axis"]
    parts = [np.zeros(_sizes(x), np.int64) for x in node.inputs]
    return [
        _marked(np.concatenate([*parts[:i], _ids(x) + 1, *parts[i + 1 :]], axis))
        for i, x in enumerate(node.inputs)
    ]


def _padded(node: Node, values: Values) -> list[Link]:
    assert node.op.numpy is not None
    x, _ = node.inputs
    places = node.op.numpy(_ids(x) + 1, np.int64(0), **_fields(node))
    (around,) = np.nonzero(places.ravel() == 0)
    return [_marked(places), (around, np.zeros_like(around))]


def _updated(node: Node, values: Values) -> list[Link] | None:
    x, value, *others = node.inputs
    arrays = [values(array) for array in others]
    if any(array is None for array in arrays):
        return None
    fields = _fields(node)
    assert update.op.numpy is not None and index.op.numpy is not None
    places = np.asarray(index.op.numpy(_ids(x), *arrays, items=fields["items"]))
    ins = np.broadcast_to(_ids(value), places.shape)
    of_x, of_value = (_ids(x).ravel(), _ids(x).ravel()), (places.ravel(), ins.ravel())
    if fields["mode"] == "set":
        of_x = _marked(update.op.numpy(_ids(x) + 1, np.int64(0), *arrays, **fields))
        of_value = _marked(update.op.numpy(np.zeros_like(_ids(x)), ins + 1, *arrays, **fields))
    return [of_x, of_value, *(of_x for _ in arrays)]


_LARGEST = 1 << 24
"""Products of a matrix product; those of a larger one are not looked at one by one."""


def _product(node: Node, values: Values) -> list[Link] | None:
    a, b = (_ids(x) for x in node.inputs)
    a, b = a[None, :] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    outs = _ids(node).reshape(*batch, a.shape[-2], 1, b.shape[-1])
    a, b = a[..., :, :, None], b[..., None, :, :]
    shape = (*batch, a.shape[-3], a.shape[-2], b.shape[-1])
    if prod(shape) > _LARGEST:
        return None
    links = []
    for ins, other, factor in ((a, b, node.inputs[1]), (b, a, node.inputs[0])):
        known = values(factor)
        kept = np.broadcast_to(True if known is None else known.reshape(-1)[other] != 0, shape)
        links.append((np.broadcast_to(outs, shape)[kept], np.broadcast_to(ins, shape)[kept]))
    return links


LINKS: dict[Op, Callable[[Node, Values], list[Link] | None]] = {
    **dict.fromkeys(
        (reshape.op, expand_dims.op, squeeze.op, transpose.op, broadcast_to.op, index.op), _moved
    ),
    **dict.fromkeys((f.op for f in (reduce.sum, reduce.prod, reduce.max, reduce.min)), _reduced),
    **dict.fromkeys((reduce.supremum.op, norm.op, logsumexp.op), _reduced),
    **dict.fromkeys((cumulative_sum.op, cumulative_prod.op), _running),
    sum_to.op: _summed_to,
    sort.op: _sorted,
    shift.op: _shifted,
    concat.op: _joined,
    pad.op: _padded,
    update.op: _updated,
    matmul.op: _product,
}
"""By op."""
