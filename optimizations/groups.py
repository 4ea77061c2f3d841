"""Groups of nodes that grow to kernels: what one may hold, and how the nodes lie along its axes."""

from __future__ import annotations

import builtins
from collections.abc import Container
from dataclasses import dataclass, field

from symgraph.graph.dims import Dim, Size, symbols
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, PLACEHOLDER, VARIABLE
from symgraph.graph.types import TupleType
from symgraph.ops.reduce import all, any, max, min, prod, sum
from symgraph.optimizations.alignment import Axes, Read, aligned, seen_through
from symgraph.optimizations.pattern import MOVES

LEAVES = (PLACEHOLDER, VARIABLE, CONSTANT)
REDUCTIONS = frozenset(f.op for f in (sum, prod, max, min, any, all))
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


@dataclass(frozen=True, slots=True)
class Cut:
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
        return (seen_through(node.inputs[0]),)
    return tuple(aligned(seen_through(x), x.ndim, node.ndim) for x in node.inputs)


def is_computed(node: Node) -> bool:
    """Whether a kernel can compute the node: element by element, or along rows."""
    if isinstance(node.type, TupleType) or not node.inputs or node.op.binds_sizes:
        return False
    if node.op in REDUCTIONS:
        if node.row.is_float and node.row.bits == 16 and node.op in (sum.op, prod.op):
            return False  # they add up in float32
        x = node.inputs[0]
        return builtins.all(x.shape[axis] != 1 for axis in node.attrs.axes)  # type: ignore[union-attr]
    return node.op.elementwise and len(node.deps) == len(node.inputs)


def deciders(node: Node) -> tuple[Node, ...]:
    """The nodes whose run decides the sizes of this one."""
    shapes = [node.shape] + [x.shape for x in node.inputs if node.op in REDUCTIONS]
    sizes = [size for shape in shapes for dim in shape if isinstance(dim, Size) for size in symbols(dim)]
    return tuple(size.source for size in dict.fromkeys(sizes) if isinstance(size.source, Node))


def lay_out(group: Group, node: Node) -> None:
    """A kernel of one node, over the node's own axes, or its argument's."""
    reduction = node.op in REDUCTIONS
    shape = node.inputs[0].shape if reduction else node.shape
    axes: Axes = tuple(None if size == 1 else axis for axis, size in enumerate(shape))
    group.is_kernel, group.reduces = True, reduction
    group.sizes = {axis: size for axis, size in enumerate(shape) if size != 1}
    if reduction:
        fields = node.attrs.fields()  # type: ignore[union-attr]
        gone = frozenset(fields["axes"])
        group.over[node] = axes
        group.inner = frozenset(axis for axis in gone if shape[axis] != 1)
        axes = tuple(
            None if axis in gone else own
            for axis, own in enumerate(axes)
            if fields["keepdims"] or axis not in gone
        )
        group.sizes = rows_first(group.sizes, gone)
    group.along[node] = axes
    group.domains = {frozenset(a for a in axes if a is not None), frozenset(group.sizes)}


def rows_first(sizes: dict[int, Dim], inner: Container[int]) -> dict[int, Dim]:
    return dict(sorted(sizes.items(), key=lambda item: item[0] in inner))
