"""Einstein's summation: products of arrays whose axes are named by letters, summed over the letters left out.

In a node the specification is canonical: the output is written, an ellipsis has become letters, and letters are
in the order of their first appearance, so that einsums that mean the same are the same node.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Dim, broadcast, same
from symgraph.graph.node import Node
from symgraph.graph.op import Attrs
from symgraph.graph.types import TensorType
from symgraph.ops.annotations import Array, ArrayLike, Slopes
from symgraph.ops.arithmetic import conj, where
from symgraph.ops.broadcast import broadcast_to, sum_to
from symgraph.ops.cases import case, draw, in_float32
from symgraph.ops.create import iota
from symgraph.ops.declare import ALL, op
from symgraph.ops.linalg import same_dtype, summed_in_float32
from symgraph.ops.shape import expand_dims

Label = str | int
"""What names an axis: a letter, or for one that an ellipsis stands for, its place from the end of those."""
Labels = tuple[Label, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EinsumAttrs(Attrs):
    spec: str


@op(
    EinsumAttrs, onnx="Einsum", dtypes=ALL, reference=in_float32("einsum"),
    cases=[
        case("ij,jk->ik", draw(2, 3), draw(3, 4)),
        case("ij,jk", draw(2, 3), draw(3, 4)),
        case("ba", draw(2, 3)),
        case("ij->", draw(2, 3)),
        case("i,j,k->kji", draw(2), draw(3), draw(4)),
        case("bik,bjk->bij", draw(5, 2, 3), draw(5, 4, 3)),
        case("ii", draw(3, 3)),
        case("iij->ji", draw(3, 3, 2)),
        case("ii,i->i", draw(3, 3), draw(3)),
        case("iii->i", draw(2, 2, 2)),
        case("ij,k->k", draw(2, 3), draw(4)),
        case("...ij,...jk->...ik", draw(5, 2, 3), draw(1, 3, 4)),
        case("...i,i...", draw(2, 3), draw(3, 4, 2)),
        case("... , ... -> ...", draw(4, 1), draw(3)),
        case("ij,j->i", draw(2, 1), draw(3)),
        case("i,i,i->i", draw(3), draw(1), draw(3)),
        case(",i->i", draw(), draw(3)),
        case("ij,jk->ik", draw(2, 0), draw(0, 4)),
        case("i->i", draw(0)),
    ],
)  # fmt: skip
def einsum(spec: str, *operands: ArrayLike) -> Node:
    """Products of elements, summed over every index that the output leaves out, as ``numpy.einsum``.

    An index that is repeated within an operand takes its diagonal. Without ``->`` the output has the indices that
    occur once, in alphabetical order. An ellipsis stands for any axes, which are broadcast. Where sizes of an index
    are 1 and another, it is broadcast too.

    >>> evaluate(einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]))
    array([3., 7.])

    Raises ArgumentError for a specification that is malformed, ShapeError for operands that do not fit it.
    """
    if not isinstance(spec, str):
        raise ArgumentError(f"the specification is a string such as 'ij,jk->ik', not {type(spec).__name__}")
    if not operands:
        raise ArgumentError("there is no operand")
    nodes = same_dtype(*operands)
    terms, output = _parse(spec, [x.ndim for x in nodes])
    _sizes(terms, [x.shape for x in nodes])
    return einsum.op(*nodes, spec=_spell(terms, output))


@einsum.infer
def _(*types: TensorType, spec: str) -> TensorType:
    if any(type.dtype is not types[0].dtype for type in types):
        raise DTypeError("takes arrays of one dtype; a node does not promote its inputs")
    terms, output = _parse(spec, [type.rank for type in types])
    sizes = _sizes(terms, [type.shape for type in types])
    return TensorType(types[0].dtype, tuple(sizes[label] for label in output))


@einsum.numpy
@summed_in_float32
def _(*arrays: Array, spec: str) -> Any:
    return np.einsum(spec, *arrays, optimize=True)


@einsum.vjp
def _(g: Node, *inputs_and_out: Node, spec: str) -> Slopes:
    *inputs, _ = inputs_and_out
    terms, output = _parse(spec, [x.ndim for x in inputs])
    sizes = _sizes(terms, [x.shape for x in inputs])
    return tuple(_slope(g, output, inputs, terms, sizes, i) for i in range(len(inputs)))


def _slope(
    g: Node, output: Labels, inputs: Sequence[Node], terms: list[Labels], sizes: dict[Label, Dim], place: int
) -> Node:
    """The gradient of one operand: the einsum of the cotangent and the other operands, onto its indices."""
    x, own = inputs[place], terms[place]
    others = [(conj(y), term) for i, (y, term) in enumerate(zip(inputs, terms, strict=True)) if i != place]
    size = {label: x.shape[own.index(label)] for label in own}  # without repetitions
    reached = {*output, *(label for _, term in others for label in term)}
    kept = tuple(label for label in size if label in reached and size[label] != 1)
    slope = einsum.op(g, *(y for y, _ in others), spec=_spell([output, *(term for _, term in others)], kept))
    missing = tuple(i for i, label in enumerate(size) if label not in kept)
    if missing:
        slope = expand_dims(slope, missing)
    # An index that is summed out without meeting this cotangent gives every element the same; one that is
    # broadcast in the product, perhaps only at the call, is summed back.
    full = tuple(1 if size[label] == 1 else sizes[label] for label in size)
    slope = sum_to(broadcast_to(slope, full), tuple(size.values()))
    return slope if len(own) == len(size) else _on_diagonal(slope, own, x.shape)


def _on_diagonal(x: Node, labels: Labels, shape: tuple[Dim, ...]) -> Node:
    """``x``, whose axes are the distinct labels, where axes of one label have equal indices; 0 elsewhere."""
    first = [labels.index(label) for label in labels]
    repeated = [axis for axis, origin in enumerate(first) if axis != origin]
    spread = expand_dims(x, tuple(repeated))
    for axis in repeated:
        spread = where(_index_along(axis, shape) == _index_along(first[axis], shape), spread, 0)
    return broadcast_to(spread, shape)


def _index_along(axis: int, shape: tuple[Dim, ...]) -> Node:
    """0, 1, 2, … along one axis of an array of this shape."""
    return expand_dims(iota(shape[axis]), tuple(i for i in range(len(shape)) if i != axis))


# The specification


def _parse(spec: str, ranks: Sequence[int]) -> tuple[list[Labels], Labels]:
    """The labels of the operands' axes and of the output's; raises ArgumentError or ShapeError."""
    inputs, arrow, output = spec.replace(" ", "").partition("->")
    parts = inputs.split(",")
    if len(parts) != len(ranks):
        raise ArgumentError(f"{spec!r} is for {len(parts)} operands, and there are {len(ranks)}")
    terms = [
        _labels(part, spec, rank, f"operand {i}")
        for i, (part, rank) in enumerate(zip(parts, ranks, strict=True))
    ]
    hidden = tuple(
        range(min((label for term in terms for label in term if isinstance(label, int)), default=0), 0)
    )
    if not arrow:
        every = [label for term in terms for label in term if isinstance(label, str)]
        return terms, (*hidden, *sorted(label for label in every if every.count(label) == 1))
    if hidden and "..." not in output:
        raise ArgumentError(
            f"the output of {spec!r} lacks the '...' for the axes that an operand's stands for"
        )
    result = _labels(output, spec, len(output.replace("...", "")) + len(hidden), "the output")
    for label in result:
        if result.count(label) > 1:
            raise ArgumentError(f"the output of {spec!r} has index {label!r} twice")
        if not any(label in term for term in terms):
            raise ArgumentError(f"index {label!r} in the output of {spec!r} is in no operand")
    return terms, result


def _labels(part: str, spec: str, rank: int, where: str) -> Labels:
    """What names each of ``rank`` axes in one part of a specification."""
    before, dots, after = part.partition("...")
    for letter in before + after:
        if letter not in string.ascii_letters:
            raise ArgumentError(
                f"{letter!r} in {spec!r}: an index is one letter, and '...' stands once for any axes"
            )
    extra = rank - len(before) - len(after)
    if extra < 0 or (extra and not dots):
        raise ShapeError(
            f"{where} has {rank} axes, and {part!r} in {spec!r} is for {len(before) + len(after)}"
        )
    return (*before, *range(-extra, 0), *after)


def _sizes(terms: list[Labels], shapes: Sequence[tuple[Dim, ...]]) -> dict[Label, Dim]:
    """The size that each label is broadcast to; raises ShapeError when sizes disagree."""
    sizes: dict[Label, Dim] = {}
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        own: dict[Label, Dim] = {}
        for label, size in zip(term, shape, strict=True):
            if same(own.setdefault(label, size), size) is False:
                raise ShapeError(
                    f"index {label!r} is {own[label]} and {size} in operand {i}, whose diagonal it takes"
                )
        for label, size in own.items():
            met = sizes.get(label, 1)
            if isinstance(met, int) and isinstance(size, int) and met != size and 1 not in (met, size):
                raise ShapeError(
                    f"{_named(label)} is {met} and, in operand {i}, {size}; sizes must agree or be 1"
                )
            sizes[label] = broadcast(met, size)
    return sizes


def _named(label: Label) -> str:
    return f"index {label!r}" if isinstance(label, str) else f"axis {label} of '...'"


def _spell(terms: Sequence[Labels], output: Labels) -> str:
    """The canonical specification."""
    letters: dict[Label, str] = {}
    for term in terms:
        for label in term:
            if len(letters) == len(string.ascii_letters) and label not in letters:
                raise ArgumentError(f"there are more than {len(letters)} indices")
            letters.setdefault(label, string.ascii_letters[len(letters) % len(string.ascii_letters)])
    inputs = ",".join("".join(letters[label] for label in term) for term in terms)
    return f"{inputs}->{''.join(letters[label] for label in output)}"
