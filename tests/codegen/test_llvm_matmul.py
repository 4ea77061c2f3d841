"""Products of matrices as machine code: small sizes, strange strides and numbers, parts of a range, other machines."""

import ctypes
import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.codegen.llvm_matmul import blocks, print_matmul, room
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.machine import Machine
from symgraph.graph.types import dtype
from symgraph.runtime.code import code
from symgraph.runtime.cpu import Loader, compiled, host

pytestmark = pytest.mark.cpu

ROWS = ("float32", "float64")
CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
LARGE = (
    (64, 100, 300),
    (7, 1100, 65),
    (100, 3, 129),
    (97, 33, 191),
    (13, 513, 600),
    (192, 48, 64),
    (300, 257, 31),
    (5, 40, 300),
    (1, 300, 299),
    (1, 1030, 513),
    (299, 300, 1),
    (1025, 7, 1),
)
"""Sizes m, k and n around those of tiles, blocks and vectors."""
LOADERS = []
"""Code stays where it is."""


@pytest.fixture(scope="module", params=ROWS)
def row(request):
    return request.param


@pytest.fixture(scope="module")
def function(row):
    (found,) = code().functions([print_matmul(dtype(row), host())])
    return found.address


def test_small_sizes(row, function):
    rng = np.random.default_rng(1)
    for m, k, n in itertools.product(range(21), repeat=3):
        check(function, random(rng, row, m, k), random(rng, row, k, n))


@pytest.mark.parametrize("how", ("in order", "transposed", "apart", "backwards", "unaligned", "of one row"))
def test_strides(row, function, how):
    rng = np.random.default_rng(2)
    for m, k, n in (*itertools.product((1, 2, 5, 6, 9), (1, 3, 8, 17), (1, 2, 16, 19, 65)), *LARGE):
        a, b = random(rng, row, m, k), random(rng, row, k, n)
        check(function, laid(a, how), b)
        check(function, a, laid(b, how))
        check(function, laid(a, how), laid(b, how), padding=3)


@pytest.mark.parametrize("strange", (np.nan, np.inf, -np.inf))
def test_nothing_is_skipped(row, function, strange):
    """A strange number times 0 is NaN, in the row or the column that it belongs to and nowhere else."""
    for m, k, n in ((1, 5, 70), (2, 5, 70), (7, 20, 3), (70, 5, 1), (1, 600, 1), (64, 600, 70)):
        a, b, in_row, in_column = (np.zeros(shape, row) for shape in ((m, k), (k, n), (m, n), (m, n)))
        strange_a, strange_b = a.copy(), b.copy()
        strange_a[-1, k // 2] = strange_b[k // 2, -1] = strange
        in_row[-1] = in_column[:, -1] = np.nan

        for turned in (np.ascontiguousarray, np.asfortranarray):
            np.testing.assert_array_equal(in_row, multiplied(function, turned(strange_a), turned(b)))
            np.testing.assert_array_equal(in_column, multiplied(function, turned(a), turned(strange_b)))


def test_infinity_times_one(row, function):
    a, b = np.eye(9, dtype=row), np.full((9, 70), 2, row)
    a[3, 3], expected = np.inf, np.full((9, 70), 2, row)
    expected[3] = np.inf

    np.testing.assert_array_equal(expected, multiplied(function, a, b))


def test_parts_of_the_range_have_the_same_bits(row, function):
    rng = np.random.default_rng(3)
    for m, k, n in ((100, 530, 70), (100, 40, 1), (7, 20, 520), (1, 9, 30)):
        a, b = random(rng, row, m, k), random(rng, row, k, n)
        for x, y in itertools.product((a, np.asfortranarray(a)), (b, np.asfortranarray(b))):
            whole = multiplied(function, x, y)
            for step in (1, 3, 7):
                assert whole.tobytes() == multiplied(function, x, y, step=step).tobytes()


def test_a_row_is_the_same_in_every_product(row, function):
    rng = np.random.default_rng(4)
    a, b = random(rng, row, 20, 1100), random(rng, row, 1100, 300)
    whole = multiplied(function, a, b)

    for m in range(1, 20):
        assert whole[:m].tobytes() == multiplied(function, a[:m], b).tobytes()


def test_levels_have_the_same_bits(row):
    rng = np.random.default_rng(5)
    functions = [of_machine(row, host(), level) for level in (0, 2)]
    for m, k, n in LARGE:
        a, b = random(rng, row, m, k), random(rng, row, k, n)
        for x, y in itertools.product((a, np.asfortranarray(a)), (b, np.asfortranarray(b))):
            first, best = (multiplied(function, x, y) for function in functions)
            assert first.tobytes() == best.tobytes()


def test_machines_with_narrower_vectors(row, narrow):
    rng = np.random.default_rng(6)
    function = of_machine(row, narrow, 0)
    for m, k, n in (*itertools.product((1, 2, 6, 7, 9), (1, 2, 9), (1, 2, 3, 5, 17)), *LARGE):
        a, b = random(rng, row, m, k), random(rng, row, k, n)
        for x, y in itertools.product((a, np.asfortranarray(a)), (b, np.asfortranarray(b))):
            check(function, x, y, machine=narrow)


@pytest.fixture(params=("avx2", "sse2"))
def narrow(request):
    if not host().triple.startswith("x86_64"):
        pytest.skip("machines of another family")
    if request.param == "sse2":
        return Machine(host().triple, "x86-64", "+sse2", 16, False, False)
    if host().bytes < 32 or not host().fma:
        pytest.skip("no AVX2 here")
    return Machine(host().triple, "haswell", "+avx2,+fma", 32, True, False)


def test_the_name_follows_from_the_text():
    first, second = (print_matmul(dtype(row), host()) for row in ROWS)

    assert first == print_matmul(dtype("float32"), host())
    assert first.name != second.name


def test_room_of_small_products_is_small():
    machine = Machine("x86_64-unknown-linux-gnu", "znver4", "", 64, True, True)

    assert 8000 > room(8, 8, 8, dtype("float32"), machine)
    assert room(2000, 2000, 2000, dtype("float32"), machine) == room(
        9000, 9000, 9000, dtype("float32"), machine
    )


def check(function, a, b, *, padding=0, machine=None):
    """The error of a sum of k products is at most k + 1 roundings of the sum of their magnitudes."""
    found = multiplied(function, a, b, padding=padding, machine=machine)
    exact, most = np.longdouble(a) @ np.longdouble(b), np.abs(np.float64(a)) @ np.abs(np.float64(b))
    error = np.abs(found - exact)

    assert (error <= (a.shape[1] + 1) * np.finfo(a.dtype).eps * most).all(), (
        a.shape,
        b.shape,
        a.strides,
        b.strides,
    )


def multiplied(function, a, b, *, padding=0, step=None, machine=None, cut=False):
    """The product, computed between bytes that nobody writes; in garbage, which nobody reads."""
    (m, k), n = a.shape, b.shape[1]
    c, memory = guarded((m, n + padding), a.dtype)
    bytes_ = room(m, n, k, dtype(a.dtype.name), machine or host(), cut=cut)
    work, surroundings = guarded((bytes_,), np.dtype(np.uint8))
    table = (ctypes.c_int64 * 12)(
        *(x.ctypes.data for x in (a, b, c, work)), m, n, k, *a.strides, *b.strides, c.strides[0]
    )
    before = [memory.copy(), surroundings.copy()]
    c_before = c.copy()
    end = blocks(m, cut=cut)
    for begin in range(0, end, step or max(1, end)):
        CALL(function)(ctypes.addressof(table), begin, min(end, begin + (step or end)))
    for x, y, size in ((memory, before[0], c.nbytes), (surroundings, before[1], bytes_)):
        assert (x[:GUARD] == y[:GUARD]).all() and (x[GUARD + size :] == y[GUARD + size :]).all()
    assert c[:, n:].tobytes() == c_before[:, n:].tobytes()
    return c[:, :n]


GUARD = 256


def guarded(shape, row):
    """An array of NaN with bytes before and after it."""
    size = int(np.prod(shape)) * row.itemsize
    memory = np.full(size + 2 * GUARD, 0xFF, np.uint8)
    return memory[GUARD : GUARD + size].view(row).reshape(shape), memory


def random(rng, row, *shape):
    return rng.standard_normal(shape).astype(row)


def laid(x, how):
    """An equal array, or one of equal rows, in another order in memory."""
    rows, columns = x.shape
    match how:
        case "transposed":
            return np.asfortranarray(x)
        case "apart":
            found = np.full((2 * rows, 3 * columns), np.nan, x.dtype)[::2, ::3]
        case "backwards":
            return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
        case "unaligned":
            memory = np.zeros(x.nbytes + 1, np.uint8)
            found = memory[1:].view(x.dtype).reshape(x.shape)
        case "of one row":
            return np.broadcast_to(x[:1], x.shape)
        case _:
            return x
    found[...] = x
    return found


def of_machine(row, machine, level):
    """The address of a function compiled by itself."""
    native = print_matmul(dtype(row), machine)
    name = f"{native.name}_{machine.cpu}_{level}".replace("-", "_")
    text = module([native], machine).replace(native.name, name)
    LOADERS.append(Loader())
    LOADERS[-1].load(compiled(text, level))
    return LOADERS[-1].address(name)
