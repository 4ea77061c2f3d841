"""Reductions: of what was broadcast, transposed or reduced before, and of numbers."""

from __future__ import annotations

from symgraph.graph.node import Node
from symgraph.graph.op import placeholder
from symgraph.ops.arithmetic import negative
from symgraph.ops.declare import INEXACTS, Function
from symgraph.ops.reduce import all as all_
from symgraph.ops.reduce import any as any_
from symgraph.ops.reduce import max, min, prod, sum, supremum
from symgraph.ops.shape import expand_dims, squeeze, transpose
from symgraph.ops.softmax import logsumexp
from symgraph.ops.statistics import mean, var
from symgraph.optimizations.pattern import Match
from symgraph.optimizations.rules import BITS, ROUNDING, Keeps, Rule, rule, rules

t = placeholder("float64", (2, 3, 4), name="t")
b = placeholder("bool", (2, 3, 4), name="b")


def _example(f: Function[..., Node]) -> Node:
    return b if f in (all_, any_) else t


def kept_then_expanded(f: Function[..., Node]) -> Rule:
    """``sum(x, keepdims=True)`` is the sum, with the axes put back."""

    def made(found: Match) -> Node | None:
        fields = found.root.attrs.fields()  # type: ignore[union-attr]
        if not fields["keepdims"]:
            return None
        reduced = f.op(*found.root.inputs, **{**fields, "keepdims": False})
        return expand_dims.op(reduced, axes=fields["axes"])

    return rule(f"{f.name} with kept axes", f.op, made, example=lambda: f(_example(f), axis=1, keepdims=True))


def over_a_transpose(f: Function[..., Node], keeps_bits: bool) -> Rule:
    """The axes of the transpose, where all that is left is in the same order."""

    def made(found: Match) -> Node | None:
        inner = found.root.inputs[0]
        fields = found.root.attrs.fields()  # type: ignore[union-attr]
        if inner.op is not transpose.op or fields["keepdims"]:
            return None
        order: tuple[int, ...] = inner.attrs.axes  # type: ignore[union-attr]
        axes = tuple(sorted(order[axis] for axis in fields["axes"]))
        left = [order[axis] for axis in range(len(order)) if axis not in fields["axes"]]
        if left != sorted(left):
            return None
        return f.op(inner.inputs[0], *found.root.inputs[1:], **{**fields, "axes": axes})

    def example() -> Node:
        return f(transpose(_example(f), (1, 0, 2)), axis=(0, 1))

    return rule(
        f"{f.name} of a transpose", f.op, made, keeps=BITS if keeps_bits else ROUNDING, example=example
    )


def twice(f: Function[..., Node], keeps: Keeps = BITS) -> Rule:
    """One reduction over the axes of two."""

    def made(found: Match) -> Node | None:
        inner = found.root.inputs[0]
        outer_fields = found.root.attrs.fields()  # type: ignore[union-attr]
        if inner.op is not f.op or outer_fields["keepdims"]:
            return None
        fields = inner.attrs.fields()  # type: ignore[union-attr]
        if fields["keepdims"]:
            return None
        rest = [axis for axis in range(inner.inputs[0].ndim) if axis not in fields["axes"]]
        axes = tuple(sorted((*fields["axes"], *(rest[axis] for axis in outer_fields["axes"]))))
        return f.op(inner.inputs[0], axes=axes, keepdims=False)

    return rule(
        f"{f.name} of {f.name}", f.op, made, keeps=keeps, example=lambda: f(f(_example(f), axis=1), axis=0)
    )


def of_minus(f: Function[..., Node]) -> Rule:
    """The sum of what has its sign changed, with its sign changed."""

    def made(found: Match) -> Node | None:
        inner = found.root.inputs[0]
        if inner.op is not negative.op or not inner.row.is_inexact:
            return None
        return negative.op(f.op(inner.inputs[0], **found.root.attrs.fields()))  # type: ignore[union-attr]

    return rule(
        f"{f.name} of minus", f.op, made, keeps=ROUNDING, dtypes=INEXACTS, example=lambda: f(-t, axis=1)
    )


def over_new_axes(f: Function[..., Node]) -> Rule:
    """An axis of size 1 that was put there is not reduced but left out."""

    def made(found: Match) -> Node | None:
        inner = found.root.inputs[0]
        fields = found.root.attrs.fields()  # type: ignore[union-attr]
        if inner.op is not expand_dims.op or fields["keepdims"]:
            return None
        new: tuple[int, ...] = inner.attrs.axes  # type: ignore[union-attr]
        if not set(fields["axes"]) & set(new):
            return None
        old = [axis for axis in range(inner.ndim) if axis not in new]
        result = inner.inputs[0]
        axes = tuple(old.index(axis) for axis in fields["axes"] if axis not in new)
        if axes:
            result = f.op(result, axes=axes, keepdims=False)
        left = [axis for axis in range(inner.ndim) if axis not in fields["axes"]]
        back = tuple(left.index(axis) for axis in new if axis in left)
        return expand_dims.op(result, axes=back) if back else result

    return rule(
        f"{f.name} over a new axis",
        f.op,
        made,
        example=lambda: f(expand_dims(_example(f), (0, 2)), axis=(0, 1)),
    )


def over_one(f: Function[..., Node]) -> Rule:
    """Along an axis that is known to have size 1 there is nothing to reduce."""

    def made(found: Match) -> Node | None:
        x, fields = found.root.inputs[0], found.root.attrs.fields()  # type: ignore[union-attr]
        ones = tuple(axis for axis in fields["axes"] if x.shape[axis] == 1)
        if not ones or fields["keepdims"]:
            return None
        axes = tuple(
            axis - len([one for one in ones if one < axis]) for axis in fields["axes"] if axis not in ones
        )
        result = squeeze.op(x, axes=ones)
        return f.op(result, axes=axes, keepdims=False) if axes else result

    return rule(
        f"{f.name} over an axis of size 1", f.op, made, example=lambda: f(_example(f)[:, :1], axis=(0, 1))
    )


_EXTREMES = (max, supremum, min, any_, all_)

REDUCTIONS = rules(
    "REDUCTIONS",
    *(kept_then_expanded(f) for f in (sum, prod, max, supremum, min, any_, all_, mean, var, logsumexp)),
    *(over_a_transpose(f, True) for f in _EXTREMES),
    *(over_a_transpose(f, False) for f in (sum, mean)),
    *(twice(f) for f in _EXTREMES),
    twice(sum, ROUNDING),
    *(of_minus(f) for f in (sum, mean)),
    *(over_new_axes(f) for f in (*_EXTREMES, sum, prod)),
    *(over_one(f) for f in (*_EXTREMES, sum, prod)),
)
