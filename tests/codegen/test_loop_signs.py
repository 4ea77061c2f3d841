"""What is known of signs, and exponentials that make use of it: the same bits as without."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.loop_signs import never_positive
from symgraph.codegen.lower import lower

x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")


def names_of(made):
    (step,) = sg.function([x, y], [made, x + y]).plan.steps
    loops = lower(step)
    ops = {each.target.name: each.op.name for each in loops.body if hasattr(each, "op")}
    return {ops[name] for name in never_positive(loops)}


@pytest.mark.parametrize(
    "make",
    [
        lambda: -abs(x),
        lambda: -(x * x),
        lambda: sg.minimum(x, 0),
        lambda: -sg.maximum(x, 2.0),
        lambda: -3.0 * (x * x),
        lambda: -sg.sqrt(x),
    ],
)
def test_what_is_never_positive(make):
    assert names_of(sg.exp(make()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: x - abs(y),
        lambda: x * y,
        lambda: -sg.maximum(x, -2.0),
        lambda: sg.minimum(x, 1.0),
        lambda: 3.0 * (x * x),
        lambda: -sg.log(x),
        lambda: -(x * x) + 1,
    ],
)
def test_what_may_be_positive(make):
    assert not names_of(sg.exp(make()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_of_what_is_not_positive_have_the_same_bits(dtype):
    z = sg.placeholder(dtype, ("n",), name="z")
    known, unknown = (
        sg.function([z], sg.exp(made), options=sg.Options(backend="llvm")) for made in (-abs(z), z)
    )
    rng, width = np.random.default_rng(0), 8 * np.dtype(dtype).itemsize
    drawn = rng.integers(0, 2**width, 100_000, dtype=f"u{width // 8}").view(dtype)
    usual = rng.uniform(0, 110 if dtype == "float32" else 750, 100_000).astype(dtype)
    edges = np.array([0.0, -0.0, np.inf, np.nan, 1e-45, 87.3, 87.4, 103.9, 104.0, 708.4, 745.2, 746.0], dtype)
    values = np.concatenate([drawn, usual, edges])
    found, expected = known(values), unknown(-np.abs(values))

    bits = f"u{width // 8}"
    assert ((found.view(bits) == expected.view(bits)) | (np.isnan(found) & np.isnan(expected))).all()
