"""Products with panels of a matrix have the bits of products with the matrix itself."""

import ctypes
import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.codegen.llvm_matmul import blocks, print_matmul, room
from symgraph.codegen.llvm_panels import bytes_of_panels, is_wide, panels, print_product
from symgraph.codegen.llvm_printer import module
from symgraph.graph.types import dtype
from symgraph.runtime.cpu import Loader, compiled, host
from tests.codegen.test_llvm_matmul import CALL, GUARD, guarded, laid, multiplied, narrow, random

__all__ = ["narrow"]

pytestmark = pytest.mark.cpu

SIZES = (
    *itertools.product((2, 3, 5, 6, 7, 10, 13), (1, 2, 9), (2, 3, 17, 64, 65)),
    (64, 100, 300),
    (97, 33, 191),
    (13, 513, 600),
    (192, 48, 64),
    (7, 1100, 65),
    (4, 1030, 513),
)
"""Rows of A, rows and columns of B."""
LOADERS = []
"""Code stays where it is."""


@pytest.fixture(scope="module", params=("float32", "float64"))
def row(request):
    return request.param


def functions(row, machine, level):
    """The product with a matrix, and that with panels."""
    natives = [print_matmul(dtype(row), machine), print_product(dtype(row), machine)]
    if level:
        natives = [native.fastest for native in natives]
    LOADERS.append(Loader())
    LOADERS[-1].load(compiled(module(natives, machine), level))
    return [LOADERS[-1].address(native.name) for native in natives]


@pytest.fixture(scope="module", params=(0, 2))
def both(row, request):
    return functions(row, host(), request.param)


def test_bits_are_those_of_the_matrix(row, both):
    rng = np.random.default_rng(1)
    plain, packed = both
    for m, k, n in SIZES:
        a, b = random(rng, row, m, k), random(rng, row, k, n)
        for x, y in itertools.product((a, np.asfortranarray(a)), (b, np.asfortranarray(b))):
            assert multiplied(plain, x, y).tobytes() == with_panels(packed, x, y).tobytes()


@pytest.mark.parametrize("how", ("apart", "backwards", "unaligned", "of one row"))
def test_strides(row, both, how):
    rng = np.random.default_rng(2)
    plain, packed = both
    for m, k, n in SIZES[::7]:
        a, b = laid(random(rng, row, m, k), how), laid(random(rng, row, k, n), how)
        assert multiplied(plain, a, b).tobytes() == with_panels(packed, a, b).tobytes()


def test_one_row_and_columns_that_are_neighbours(row, both):
    rng = np.random.default_rng(3)
    plain, packed = both
    for k, n in ((1, 2), (9, 64), (520, 65), (1100, 513)):
        a, b = random(rng, row, 1, k), random(rng, row, k, n)
        assert multiplied(plain, a, b).tobytes() == with_panels(packed, a, b).tobytes()


def test_parts_of_a_range(row, both):
    """Of rows, and of panels that are made."""
    rng = np.random.default_rng(4)
    _, packed = both
    a, b = random(rng, row, 100, 530), random(rng, row, 530, 200)
    whole = with_panels(packed, a, b)

    for step in (1, 3, 7):
        assert whole.tobytes() == with_panels(packed, a, b, step=step).tobytes()


@pytest.mark.parametrize("strange", (np.nan, np.inf, -np.inf))
def test_what_is_strange_stays_in_its_column(row, both, strange):
    rng = np.random.default_rng(5)
    _, packed = both
    a, b = random(rng, row, 70, 20), random(rng, row, 20, 100)
    expected = with_panels(packed, a, b)
    b[7, 64] = strange
    found = with_panels(packed, a, b)

    assert not np.isfinite(found[:, 64]).any()
    assert np.delete(found, 64, 1).tobytes() == np.delete(expected, 64, 1).tobytes()


@pytest.mark.parametrize("how", ("in order", "apart", "transposed"))
def test_the_way_back_gives_the_same_bits(row, both, how):
    rng = np.random.default_rng(7)
    _, packed = both
    for m, k, n in (*SIZES, (1, 1100, 513), (96, 520, 130), (6, 20, 1)):
        a, b = laid(random(rng, row, m, k), how), random(rng, row, k, n)
        there, back = (with_panels(packed, a, b, back=way) for way in (0, 1))
        assert there.tobytes() == back.tobytes()


def test_no_terms(row, both):
    _, packed = both

    np.testing.assert_array_equal(0, with_panels(packed, np.ones((3, 0), row), np.ones((0, 70), row)))


def test_machines_with_narrower_vectors(row, narrow):
    rng = np.random.default_rng(6)
    plain, packed = functions(row, narrow, 0)
    for m, k, n in SIZES[::3]:
        a, b = random(rng, row, m, k), random(rng, row, k, n)
        expected = multiplied(plain, a, b, machine=narrow)
        assert expected.tobytes() == with_panels(packed, a, b, machine=narrow).tobytes()


def test_a_panel_is_as_wide_as_a_tile(row):
    columns = next(n for n in itertools.count(1) if is_wide(n, dtype(row), host()))

    assert [1, 1, 2] == [panels(n, dtype(row), host()) for n in (1, columns, columns + 1)]


def with_panels(function, a, b, *, step=None, machine=None, back=0, cut=False):
    """The product; its panels are made between bytes that nobody writes, and past the last column there is NaN. Every
    call of the function goes the other way."""
    (m, k), n = a.shape, b.shape[1]
    machine, t = machine or host(), dtype(a.dtype.name)
    c, _ = guarded((m, n), a.dtype)
    size, rest = bytes_of_panels(n, k, t, machine, cut=cut)
    made, around = guarded((size,), np.dtype(np.uint8))
    copy, _ = guarded((rest,), np.dtype(np.uint8))
    work, _ = guarded((room(m, n, k, t, machine, cut=cut),), np.dtype(np.uint8))
    every, count = panels(n, t, machine), blocks(m, cut=cut)
    addresses = (0, made.ctypes.data, 0, copy.ctypes.data)
    words = (*addresses, 0, n, k, 0, 0, *b.strides, 0, b.ctypes.data, back)
    assert back == run(function, words, every, step)
    assert (around[:GUARD] == 0xFF).all() and (around[GUARD + size :] == 0xFF).all()
    places = [x.ctypes.data for x in (a, made, c, work)]
    calls = -(-count // step) if step else 1
    words = (*places, m, n, k, *a.strides, *b.strides, c.strides[0], 0, back)
    assert (back + calls) % 2 == run(function, words, count, step)
    return c


def run(function, words, end, step):
    table = (ctypes.c_int64 * len(words))(*words)
    for begin in range(0, end, step or max(1, end)):
        CALL(function)(ctypes.addressof(table), begin, min(end, begin + (step or end)))
    return table[-1]
