"""Groups of nodes that grow to kernels: what one may hold, and how the nodes lie along its axes."""

from __future__ import annotations

import builtins
from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from symgraph.graph.dims import Dim, symbols
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, PLACEHOLDER, VARIABLE
from symgraph.graph.types import TupleType
from symgraph.ops.reduce import all, any, argmax, argmin, max, min, prod, sum, supremum
from symgraph.ops.shape import reshape
from symgraph.optimizations.alignment import Axes, Read, aligned, is_source, own_axes, seen_through
from symgraph.optimizations.pattern import MOVES

LEAVES = (PLACEHOLDER, VARIABLE, CONSTANT)
PLACES = frozenset({argmax.op, argmin.op})
"""The reductions that count turns, in the order of the axes."""
EXTREMES = PLACES | {max.op, min.op}
"""The reductions that nothing has no result of."""
REDUCTIONS = EXTREMES | {f.op for f in (supremum, sum, prod, any, all)}
MOST_ARRAYS, MOST_NODES = 48, 400
"""What one kernel may read and compute."""


@dataclass(eq=False, slots=True)
class Group:
    """Nodes of one step: a kernel that grows, or a single call or view."""

    bits: int
    """The numbers of the steps that were merged in it."""
    before: int
    """Those of the steps that have to run before it."""
    members: list[Node]
    along: dict[Node, Axes] = field(default_factory=dict)
    """The axes of the kernel along which each member lies."""
    over: dict[Node, Axes] = field(default_factory=dict)
    """Those along which the argument of each reduction lies."""
    sizes: dict[int, Dim] = field(default_factory=dict)
    """The size of each axis, outer ones first."""
    inner: frozenset[int] = frozenset()
    """The axes of the sweeps."""
    domains: set[frozenset[int]] = field(default_factory=set)
    """The sets of axes along which members lie."""
    sources: set[Node] = field(default_factory=set)
    """What is read from outside."""
    reads: dict[Node, tuple[Read, ...]] = field(default_factory=dict)
    """What each member of a kernel reads."""
    readers: set[int] = field(default_factory=set)
    """The numbers of steps that read what members compute."""
    reduces: bool = False
    is_kernel: bool = False


class Cut(NamedTuple):
    """A value that one step leaves to another, and why the two are not one."""

    source: Node
    reader: Node
    reason: str


class Misfit(Exception):
    """Why two kernels are not one."""


def is_view(node: Node) -> bool:
    """Whether the node chooses and orders elements by slices and axes alone."""
    return node.op in MOVES and len(node.inputs) == 1


def reads_of(node: Node) -> tuple[Read, ...]:
    """What a member of a kernel reads, along the axes of its result, or of its argument if it is a reduction."""
    if node.op in REDUCTIONS:
        return (seen_through(argument(node)),)
    shape = node.shape
    axes, rank = own_axes(shape), len(shape)
    return tuple(
        [
            Read(x, axes) if x.shape is shape and is_source(x) else aligned(seen_through(x), x.ndim, rank)
            for x in node.inputs
        ]
    )


def argument(node: Node) -> Node:
    """What a reduction reduces; of an index in row-major order, the array with its axes."""
    x = node.inputs[0]
    if node.op not in PLACES or x.op is not reshape.op or x.ndim > 1:
        return x
    behind = x.inputs[0]
    return behind if behind.ndim > 1 and behind.size == x.size else x


def reduced_axes(node: Node) -> tuple[int, ...]:
    """The axes of its argument along which a reduction goes."""
    if node.op not in PLACES:
        return node.attrs.axes  # type: ignore[union-attr, no-any-return]
    x = argument(node)
    return (node.attrs.axis,) if x is node.inputs[0] else tuple(range(x.ndim))  # type: ignore[union-attr]


def is_computed(node: Node) -> bool:
    """Whether a kernel can compute the node: element by element, or along rows."""
    if isinstance(node.type, TupleType) or not node.inputs or node.op.binds_sizes:
        return False
    if node.op in REDUCTIONS:
        if node.row.is_float and node.row.bits == 16 and node.op in (sum.op, prod.op):
            return False  # they add up in float32
        shape, axes = argument(node).shape, reduced_axes(node)
        if node.op in PLACES:
            return builtins.any(shape[axis] != 1 for axis in axes)
        return builtins.all(shape[axis] != 1 for axis in axes)
    return node.op.elementwise and len(node.deps) == len(node.inputs)


def deciders(node: Node) -> tuple[Node, ...]:
    """The nodes whose run decides the sizes of this one."""
    shape = node.shape + argument(node).shape if node.op in REDUCTIONS else node.shape
    unknown = [dim for dim in shape if not isinstance(dim, int)]
    if not unknown:
        return ()
    sizes = [size for dim in unknown for size in symbols(dim) if size.source is not None]
    return tuple([size.source for size in dict.fromkeys(sizes) if isinstance(size.source, Node)])


def lay_out(group: Group, node: Node) -> None:
    """A kernel of one node, over the node's own axes, or its argument's."""
    reduction = node.op in REDUCTIONS
    shape = argument(node).shape if reduction else node.shape
    axes = own_axes(shape)
    group.is_kernel, group.reduces = True, reduction
    group.sizes = {axis: size for axis, size in enumerate(shape) if size != 1}
    if reduction:
        gone = frozenset(reduced_axes(node))
        keeps = node.attrs.keepdims  # type: ignore[union-attr]
        group.over[node] = axes
        group.inner = frozenset(axis for axis in gone if shape[axis] != 1)
        axes = tuple(
            None if axis in gone else own for axis, own in enumerate(axes) if keeps or axis not in gone
        )
        axes = (None,) * node.ndim if len(gone) == len(shape) else axes
        group.sizes = rows_first(group.sizes, gone)
    group.along[node] = axes
    group.domains = {frozenset(group.sizes)}
    if reduction:
        group.domains.add(frozenset(a for a in axes if a is not None))


def rows_first(sizes: dict[int, Dim], inner: Container[int]) -> dict[int, Dim]:
    return dict(sorted(sizes.items(), key=lambda item: item[0] in inner))
