"""Quotients by one number: the bits of a division, from products."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import Options, function, placeholder
from symgraph.codegen.llvm_quotients import is_quick
from symgraph.runtime.cpu import host

SIZE = 1031
DTYPES = ["float32", "float64"]


def quotients(dtype):
    """A function that divides an array by a number, and what NumPy has for it."""
    x, s = placeholder(dtype, ("n",), name="x"), placeholder(dtype, (), name="s")
    f = function([x, s], x / s, options=Options(backend="llvm"))

    def check(numerators, divisor):
        with np.errstate(all="ignore"):
            expected = numerators / divisor
        same(f(numerators, divisor), expected)

    return check


def same(found, expected):
    """The same bits, but that a NaN is a NaN."""
    bits = f"u{found.dtype.itemsize}"
    equal = (found.view(bits) == expected.view(bits)) | (np.isnan(found) & np.isnan(expected))
    assert equal.all(), f"{np.flatnonzero(~equal)[:5]}: {found[~equal][:5]} and {expected[~equal][:5]}"


def patterns(rng, dtype, size):
    """Numbers of any bits."""
    width = 8 * np.dtype(dtype).itemsize
    return rng.integers(0, 2**width, size, dtype=f"u{width // 8}").view(dtype)


def divisors(rng, dtype):
    """Those that are usual, those whose mantissa is nearly all ones, and those of any bits."""
    usual = (np.abs(rng.normal(size=40)) * 10.0 ** rng.integers(-9, 9, 40)).astype(dtype)
    ones = (
        np.array([2.0], dtype).view(f"u{np.dtype(dtype).itemsize}") - np.arange(1, 40, dtype=np.uint8)
    ).view(dtype)
    edges = np.array(
        [0.0, -0.0, np.inf, -np.inf, np.nan, -3.0, 1.0, 3.0, 2.0**-19, 2.0**21, 1e30, 1e-30], dtype
    )
    return [*usual, *ones.astype(dtype), *edges, *patterns(rng, dtype, 40)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_quotients_have_the_bits_of_divisions(dtype):
    rng = np.random.default_rng(0)
    check = quotients(dtype)
    usual = rng.normal(size=SIZE).astype(dtype)
    spread = (rng.normal(size=SIZE) * 10.0 ** rng.integers(-30, 30, SIZE)).astype(dtype)
    for divisor in divisors(rng, dtype):
        for numerators in (usual, spread, patterns(rng, dtype, SIZE)):
            check(numerators, divisor)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_infinities_and_the_last_number_of_each_range(dtype):
    check, info = quotients(dtype), np.finfo(dtype)
    edges = [0.0, info.tiny, info.smallest_subnormal, info.max, 1.0, np.inf, np.nan]
    powers = 2.0 ** np.arange(info.minexp, info.maxexp - 1, dtype=dtype)
    each = np.concatenate(
        [np.array(edges, dtype), powers, np.nextafter(powers, dtype(0) if callable(dtype) else 0)]
    )
    numerators = np.concatenate([each, -each]).astype(dtype)
    for divisor in divisors(np.random.default_rng(1), dtype):
        check(numerators, divisor)


@pytest.mark.parametrize("dtype", DTYPES)
def test_quotients_next_to_the_middle_between_two_numbers(dtype):
    """Numerators whose quotient is as near to such a middle as the divisor allows: what a wrong last bit shows in."""
    rng, check = np.random.default_rng(2), quotients(dtype)
    digits = np.finfo(dtype).nmant + 1
    for _ in range(60):
        s = int(rng.integers(1 << digits - 1, 1 << digits)) | 1
        numerators = []
        for odd in (1, -1, 3, -3):
            # 2**k * x = middle * s + odd for an odd middle of digits + 1 bits: x has at most as many as it may
            middle = -odd * pow(s, -1, 1 << digits) % (1 << digits)
            for more in (middle, middle + (1 << digits)):
                x, left = divmod(more * s + odd, 1 << digits)
                if not left and x.bit_length() <= digits:
                    numerators.append(float(x))
        if numerators:
            check(np.resize(np.array(numerators, dtype), SIZE), np.array(s, dtype)[()])


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_rows_and_arrays_that_lie_otherwise(dtype):
    rng = np.random.default_rng(3)
    x, row = placeholder(dtype, ("n", "m"), name="x"), placeholder(dtype, ("n", 1), name="row")
    f = function(
        [x, row], [x / 3.0, x / -3.0, x / 255.0, x / row, x.T / row.T], options=Options(backend="llvm")
    )
    values, numbers = rng.normal(size=(37, 53)).astype(dtype), rng.normal(size=(37, 1)).astype(dtype)
    values[rng.random(values.shape) < 0.5] = 0
    for given in (values, np.asfortranarray(values), values[::-1], np.repeat(values, 2, 1)[:, ::2]):
        thirds, minus, bytes_, rows, columns = f(given, numbers)
        scalar = np.dtype(dtype).type
        for found, expected in [
            (thirds, given / scalar(3)),
            (minus, given / scalar(-3)),
            (bytes_, given / scalar(255)),
            (rows, given / numbers),
            (columns, given.T / numbers.T),
        ]:
            same(np.ascontiguousarray(found), np.ascontiguousarray(expected))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_division_is_in_the_loop_of_a_usual_vector(dtype):
    x, s = placeholder(dtype, ("n",), name="x"), placeholder(dtype, (), name="s")
    text = function([x, s], x / s, options=Options(backend="llvm")).source("llvm")
    if is_quick(host(), x.type.dtype):
        lines = text.splitlines()
        places = [n for n, line in enumerate(lines) if "fdiv <" in line]
        labels = [next(line for line in reversed(lines[:n]) if line.endswith(":")) for n in places]
        assert labels and all(label.startswith("rare") for label in labels)
