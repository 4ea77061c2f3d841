"""Products in tiles of bfloat16: as accurate as others, with IEEE 754's strange numbers, and always the same bits."""

import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen import llvm_pieces as pieces
from symgraph.codegen.llvm_matmul import is_cut, print_matmul
from symgraph.codegen.llvm_panels import print_product
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.machine import Machine
from symgraph.graph.types import dtype
from symgraph.runtime.cpu import Loader, compiled, host
from tests.codegen.test_llvm_matmul import laid, multiplied, random
from tests.codegen.test_llvm_panels import with_panels

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.skipif(not host().tiles, reason="of processors with tiles of bfloat16"),
]

ROW = "float32"
EPS = 2.0**-24
SIZES = (
    (64, 128, 64),
    (1, 1, 1),
    (33, 31, 65),
    (31, 33, 63),
    (96, 200, 128),
    (128, 1024, 64),
    (129, 1025, 70),
    (260, 100, 530),
    (70, 2100, 600),
)
"""Rows of A, rows and columns of B: around those of units, tiles, panels, blocks and what is summed up at once."""
LOADERS = []
"""Code stays where it is."""


def loaded(native, level):
    LOADERS.append(Loader())
    LOADERS[-1].load(compiled(module([native], host()), level))
    return LOADERS[-1].address(native.name)


@pytest.fixture(scope="module")
def quick():
    return loaded(print_matmul(dtype(ROW), host(), quick=True, cut=True), 0)


@pytest.fixture(scope="module")
def best():
    return loaded(print_matmul(dtype(ROW), host(), cut=True), 2)


@pytest.fixture(scope="module", params=(0, 2))
def packed(request):
    native = print_product(dtype(ROW), host(), cut=True)
    return loaded(native.fastest if request.param else native, request.param)


def error(found, a, b):
    """Of every number, in roundings of the sum of what its terms are without a sign."""
    with np.errstate(invalid="ignore"):
        exact, most = np.float64(a) @ np.float64(b), np.abs(np.float64(a)) @ np.abs(np.float64(b))
        return np.abs(found - exact) / np.maximum(EPS * most, 1e-300)


@pytest.mark.parametrize("how", ("in order", "transposed", "apart", "backwards", "unaligned", "of one row"))
def test_strides(best, how):
    rng = np.random.default_rng(1)
    for m, k, n in SIZES:
        a, b = random(rng, ROW, m, k), random(rng, ROW, k, n)
        for x, y in ((laid(a, how), b), (a, laid(b, how)), (laid(a, how), laid(b, how))):
            assert (error(multiplied(best, x, y, padding=3, cut=True), x, y) < 5).all()


def test_no_less_accurate_than_sums_of_float32(best):
    """Neither than products that are not cut, nor than NumPy's, whatever library these are of."""
    rng, plain = np.random.default_rng(2), loaded(print_matmul(dtype(ROW), host()), 2)
    for k in (128, 700, 1024, 5000):
        a, b = random(rng, ROW, 200, k), random(rng, ROW, k, 200)
        for x, y in ((a, b), (abs(a), abs(b))):
            found = (multiplied(best, x, y, cut=True), multiplied(plain, x, y), x @ y)
            own, *others = (error(each, x, y) for each in found)
            assert all((own**2).mean() < (other**2).mean() for other in others)


def test_integers_are_exact(best):
    """Sums of no more than 24 bits."""
    rng = np.random.default_rng(3)
    for m, k, n in SIZES:
        for bits in ((12, 1), (6, 6), (1, 12), (23, 0)):
            most = [1 << max(0, each - k.bit_length() // 2) for each in bits]
            a, b = (
                rng.integers(-x, x + 1, shape).astype(ROW)
                for x, shape in zip(most, ((m, k), (k, n)), strict=True)
            )
            if np.abs(a).astype(int).sum(1).max() * int(np.abs(b).max()) < 1 << 24:
                np.testing.assert_array_equal(
                    a.astype(np.int64) @ b.astype(np.int64), multiplied(best, a, b, cut=True)
                )


def test_numbers_of_24_bits_stay(best):
    rng = np.random.default_rng(4)
    a = random(rng, ROW, 70, 128)

    np.testing.assert_array_equal(a, multiplied(best, a, np.eye(128, dtype=ROW), cut=True))


SCALES = (0, -149, -126, -100, -60, -40, 40, 60, 100, 126)


@pytest.mark.parametrize("scale", SCALES)
def test_great_and_small_numbers(best, packed, scale):
    """Multiplied by a power of two, products are what they were, as long as they are float32 of full precision."""
    rng = np.random.default_rng(5)
    a, b = random(rng, ROW, 70, 150), random(rng, ROW, 150, 130)
    for other in (0, -scale // 2, min(-scale, 120)):
        with np.errstate(all="ignore"):
            x, y = (np.ldexp(each, by).astype(ROW) for each, by in ((a, scale), (b, other)))
            exact = (np.float64(x) @ np.float64(y)).astype(ROW)
            most = np.abs(np.float64(x)) @ np.abs(np.float64(y))
        found = multiplied(best, x, y, cut=True)
        clear = most < 2.0**127
        assert np.array_equal(np.isfinite(found)[clear], np.isfinite(exact)[clear])
        with np.errstate(invalid="ignore"):
            wrong = np.abs(np.float64(found) - exact) > 5 * EPS * most + 2.0**-148
        assert not (wrong & clear).any()
        assert found.tobytes() == with_panels(packed, x, y, cut=True).tobytes()


def test_numbers_far_apart(best):
    """In one block, which is not cut then: the sums of small ones are as exact as others."""
    rng = np.random.default_rng(6)
    a = np.ldexp(random(rng, ROW, 70, 150), rng.integers(-100, 60, (70, 150))).astype(ROW)
    b = np.ldexp(random(rng, ROW, 150, 130), rng.integers(-40, 60, (150, 130))).astype(ROW)
    small = a.copy()
    small[:, :100] = 0
    small[3] = 2.0**60
    tiny = np.where(np.arange(150) < 75, np.float32(1e-38), np.float32(1)).astype(ROW) * np.ones((70, 1), ROW)
    only = np.zeros((150, 130), ROW)
    only[:75] = 3
    for x, y in ((a, b), (small, b), (tiny, only)):
        assert (error(multiplied(best, x, y, cut=True), x, y) < 20).all()


@pytest.mark.parametrize("strange", (np.nan, np.inf, -np.inf, np.finfo(ROW).max))
def test_what_is_strange(best, packed, strange):
    """It is where IEEE 754 has it, and nothing else has other bits than elsewhere in its block."""
    rng = np.random.default_rng(7)
    a, b = random(rng, ROW, 100, 300), random(rng, ROW, 300, 200)
    plain = multiplied(best, a, b, cut=True)
    for x, y in ((True, False), (False, True), (True, True)):
        c, d = a.copy(), b.copy()
        c[40, 7] = strange if x else c[40, 7]
        c[41, 7] = 0
        d[7, 100] = strange if y else d[7, 100]
        with np.errstate(all="ignore"):
            expected = (np.float64(c) @ np.float64(d)).astype(ROW)
        found = multiplied(best, c, d, cut=True)
        finite = np.isfinite(expected) & (np.abs(expected) < 1e38)
        np.testing.assert_array_equal(np.isnan(expected), np.isnan(found))
        np.testing.assert_array_equal(expected[np.isinf(expected)], found[np.isinf(expected)])
        assert (error(found, c, d)[finite] < 5).all()
        assert found[:32, :64].tobytes() == plain[:32, :64].tobytes()
        assert found[64:96, 128:].tobytes() == plain[64:96, 128:].tobytes()
        assert found.tobytes() == with_panels(packed, c, d, cut=True).tobytes()


def test_the_first_text_has_the_same_bits(quick, best):
    rng = np.random.default_rng(8)
    for m, k, n in SIZES:
        a, b = random(rng, ROW, m, k), random(rng, ROW, k, n)
        a[m // 2] *= np.float32(1e-30)
        b[:, n // 2 :] *= np.float32(1e-38)
        for x, y in itertools.product((a, np.asfortranarray(a)), (b, np.asfortranarray(b))):
            first, second = (multiplied(each, x, y, cut=True) for each in (quick, best))
            assert first.tobytes() == second.tobytes()


def test_parts_of_a_range_and_panels_have_the_same_bits(best, packed):
    rng = np.random.default_rng(9)
    for m, k, n in SIZES:
        a, b = random(rng, ROW, m, k), random(rng, ROW, k, n)
        for x, y in itertools.product((a, np.asfortranarray(a)), (b, np.asfortranarray(b))):
            whole = multiplied(best, x, y, cut=True).tobytes()
            for step in (1, 2, 3):
                assert whole == multiplied(best, x, y, step=step, cut=True).tobytes()
            for back in (0, 1):
                assert whole == with_panels(packed, x, y, back=back, step=1 + back, cut=True).tobytes()


def test_which_products_are_cut():
    without = Machine(host().triple, host().cpu, host().features, 64, True, True)

    assert is_cut(64, 512, 784, dtype(ROW), host())
    assert not is_cut(64, 512, 784, dtype(ROW), without)
    assert not is_cut(64, 512, 784, dtype("float64"), host())
    assert not any(
        is_cut(*sizes, dtype(ROW), host()) for sizes in ((1, 512, 784), (64, 10, 784), (64, 64, 64))
    )


def test_numbers_that_stay_between_the_bounds_are_not_multiplied():
    assert float(pieces.DEPTH) * pieces._MOST**2 < np.finfo(ROW).max
    assert pieces._LEAST**2 / 2**23 >= np.finfo(ROW).tiny


@pytest.mark.parametrize("batched", (False, True))
def test_functions(batched):
    """Of several threads, with a weight that stays and one that changes, and batches; all with the same bits."""
    rng = np.random.default_rng(10)
    shape = (3, 100, 300) if batched else (200, 300)
    x, w = rng.standard_normal(shape).astype(ROW), rng.standard_normal((300, 400)).astype(ROW)
    a, b = sg.placeholder(ROW, shape, name="a"), sg.placeholder(ROW, w.shape, name="b")
    weight = sg.variable(w, name="weight")
    results = []
    for threads in (1, 2):
        options = sg.Options(threads=threads)
        of_weight = sg.function([a], a @ weight, options=options)
        of_both = sg.function([a, b], a @ b, options=options)
        results += [of_weight(x) for _ in range(3)] + [of_both(x, w) for _ in range(3)]

    assert len({each.tobytes() for each in results}) == 1
    assert (error(results[0].reshape(-1, 400), x.reshape(-1, 300), w) < 5).all()
    assert "tdpbf16ps" in of_both.source("asm").lower()
