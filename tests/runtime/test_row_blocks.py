"""Long rows whose blocks threads share: the same bits for any number of threads, and as many as are worth it."""

import ctypes
import math
import threading
from weakref import WeakValueDictionary

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen import loops, row_blocks
from symgraph.codegen.machine import Machine
from symgraph.codegen.row_blocks import BLOCK, LOW_BLOCK
from symgraph.graph.walk import toposort
from symgraph.runtime import native, shares
from symgraph.runtime.code import code
from symgraph.runtime.cpu import host
from symgraph.runtime.memory import Arena
from symgraph.runtime.pool import pool
from tests.concurrency import by_threads, noticing, together
from tests.fuzz.drawing import draw_group

x = sg.placeholder("float32", ("n",), name="x_of_rows")
y = sg.placeholder("float32", ("n",), name="y_of_rows")
m = sg.placeholder("float32", ("n", "k"), name="m_of_rows")
c = sg.placeholder("complex64", ("n",), name="c_of_rows")
w = sg.placeholder("int16", ("n",), name="w_of_rows")
d = sg.placeholder("float64", ("n",), name="d_of_rows")
ONE_ROW = {
    "sums": [sg.sum(x), sg.mean((x - y) ** 2), sg.prod(1 + x * 1e-3), sg.sum(d * d), sg.sum(c), sg.prod(c)],
    "exact": [sg.max(x), sg.min(x * y), sg.any(x > 4), sg.all(x > -5), sg.sum(w), sg.max(w), sg.prod(w)],
    "places": [sg.argmax(x * y), sg.argmin(sg.abs(w)), sg.argmax(sg.round(x)), sg.argmin(d + 1)],
    "logsumexp": [sg.logsumexp(x), sg.logsumexp(x * y)],
    "softmax": [sg.softmax(x), sg.log_softmax(y)],
    "sweeps": [(x - sg.mean(x)) / sg.sqrt(sg.var(x) + 1e-5), sg.max(x), x * 2],
    "sixteen bits": [sg.max(sg.astype(x, "float16")), sg.sum(sg.astype(sg.astype(x, "bfloat16"), "float32"))],
}
FEW_ROWS = {
    "sums": [sg.sum(m, axis=1), sg.sum(m, axis=0), sg.mean(m * m)],
    "variance": [sg.var(m, axis=0), sg.var(m, axis=1)],
    "extrema": [sg.max(m * 2, axis=0), sg.argmax(m, axis=0), sg.argmin(m + 1, axis=1)],
    "softmax": [sg.softmax(m, axis=0), sg.softmax(m, axis=1)],
    "turned": [sg.sum(m[::-1] * m), sg.sum(m[:, ::-1] + m[::-1], axis=0), sg.sum(sg.transpose(m), axis=0)],
    "with what rows have": [
        sg.sum((m - m[0]) ** 2, axis=0) + m[0],
        sg.sum(m * m[:, :1], axis=1) * m[:, 0],
    ],
}
SIZES = (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 17)
SHAPES = (
    (1, 2 * BLOCK + 5),
    (3, BLOCK + 3),
    (2 * LOW_BLOCK, 1),
    (2 * LOW_BLOCK + 1, 3),
    (LOW_BLOCK, 65),
    (3 * LOW_BLOCK - 1, 70),
)


@pytest.fixture
def eager(monkeypatch):
    monkeypatch.setattr(shares, "_WORTH", 1.0)
    monkeypatch.setattr(native, "LONG", 0)


@pytest.fixture
def calls(monkeypatch):
    """The calls whose threads share blocks."""
    made = []
    noticing(monkeypatch, lambda call, given: made.append(call) if given.get("meets") is not None else None)
    return made


def draw(node, shape, seed=0):
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=shape)
    if node is c:
        drawn = np.exp(1j * drawn)
    return (100 * drawn if node is w else drawn).astype(node.dtype)


def functions(outputs, counts=(1, 2, 3, 8)):
    known = set(toposort(outputs))
    inputs = [node for node in (x, y, m, c, w, d) if node in known]
    return inputs, [sg.function(inputs, outputs, options=sg.Options(threads=n)) for n in counts]


def bits(arrays):
    return [(each.dtype, each.shape, each.tobytes()) for each in arrays]


@pytest.mark.parametrize("name", ONE_ROW)
def test_one_row(eager, calls, name):
    inputs, (one, *others) = functions(ONE_ROW[name])
    for size in SIZES:
        given = [draw(node, (size,), seed) for seed, node in enumerate(inputs)]
        expected = bits(one(*given))
        for f in others:
            for _ in range(2):
                assert bits(f(*given)) == expected
    code().settle()
    for f in others:
        assert bits(f(*given)) == expected
    assert calls


@pytest.mark.parametrize("name", FEW_ROWS)
def test_few_rows(eager, calls, name):
    inputs, (one, *others) = functions(FEW_ROWS[name])
    for shape in SHAPES:
        given = [draw(node, shape) for node in inputs]
        expected = bits(one(*given))
        for f in others:
            for _ in range(2):
                assert bits(f(*given)) == expected
    assert calls


@pytest.mark.parametrize("group", range(4))
def test_drawn_programs_in_small_blocks(eager, calls, monkeypatch, group):
    monkeypatch.setattr(row_blocks, "BLOCK", 3)
    monkeypatch.setattr(row_blocks, "LOW_BLOCK", 2)
    monkeypatch.setattr(loops, "_common", WeakValueDictionary())
    for seed, program in draw_group(group, 8, 900):
        for a, b in zip(*by_threads(program, (1, 3)), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"seed {seed}")
    assert calls


@pytest.mark.parametrize("masks", [False, True])
def test_machines_with_narrower_vectors(eager, calls, monkeypatch, masks):
    real = host()
    if not real.triple.startswith("x86_64"):
        pytest.skip("machines of another family")
    machine = Machine(real.triple, "x86-64", "+sse2", 16, masks, False)
    monkeypatch.setattr(native, "host", lambda: machine)
    for outputs, node, shape in (
        ([sg.sum(x), sg.softmax(x), sg.argmax(x * 1)], x, (2 * BLOCK + 3,)),
        ([sg.sum(m, axis=0), sg.softmax(m, axis=0), sg.sum(m, axis=1)], m, (2 * LOW_BLOCK + 3, 7)),
    ):
        _, (one, many) = functions(outputs, (1, 3))
        array = draw(node, shape)
        assert bits(one(array)) == bits(many(array))
    assert calls


def test_sums_are_right(eager):
    _, made = functions([sg.sum(x), sg.sum(x * 0 + 1), sg.mean(x)], (1, 3))
    for size in SIZES:
        array = draw(x, (size,))
        exact = math.fsum(array)
        for f in made:
            total, count, mean = f(array)
            np.testing.assert_allclose(total, exact, rtol=1e-6, atol=1e-4)
            assert count == size
            np.testing.assert_allclose(mean, exact / size, rtol=1e-6, atol=1e-6)


def test_the_first_of_equal_places_and_of_nans(eager, calls):
    _, (f,) = functions([sg.argmax(x * 1), sg.argmin(x * 1), sg.max(x), sg.min(x)], (3,))
    array = np.zeros(4 * BLOCK + 9, np.float32)
    array[[BLOCK + 7, 2 * BLOCK, 4 * BLOCK]] = 5
    array[[3 * BLOCK - 1, 3 * BLOCK + 1]] = -5
    assert [int(each) for each in f(array)] == [BLOCK + 7, 3 * BLOCK - 1, 5, -5]

    array[[2 * BLOCK + 3, 3 * BLOCK]] = np.nan
    high, low, *extrema = f(array)
    assert high == low == 2 * BLOCK + 3 and np.isnan(extrema).all()
    assert calls


def test_sums_of_infinities_and_nans(eager):
    _, (one, many) = functions([sg.sum(x), sg.logsumexp(x), sg.softmax(x), sg.log_softmax(x)], (1, 3))
    for values in ((np.inf,), (np.inf, -np.inf), (np.nan,), (-np.inf,), None):
        array = draw(x, (3 * BLOCK,))
        if values is None:
            array[...] = -np.inf
        else:
            array[BLOCK - 1 :: BLOCK][: len(values)] = values
        for a, b in zip(one(array), many(array), strict=True):
            np.testing.assert_array_equal(a, b)


def test_nothing_to_sum(eager):
    _, made = functions([sg.sum(x), sg.prod(y)], (1, 2))
    for f in made:
        assert [float(each) for each in f(np.zeros(0, "f4"), np.zeros(0, "f4"))] == [0, 1]
    with pytest.raises(sg.ShapeError, match="test_row_blocks"):
        sg.function([x], sg.max(x), options=sg.Options(threads=2))(np.zeros(0, "f4"))


def test_what_comes_late_is_waited_for(eager, calls):
    """Turns of later sweeps begin before those of earlier ones, each in a thread of its own."""
    f = sg.function([x], sg.softmax(x), options=sg.Options(threads=4, backend="llvm"))
    array = draw(x, (5 * BLOCK + 3,))
    expected = f(array)
    (call,) = calls
    out, arena = np.empty_like(array), Arena(np.zeros(1 << 16, np.uint8))
    table = (ctypes.c_int64 * 100)(*call.tables([array.ctypes.data, out.ctypes.data], arena, 0)[0])
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(call.function.address)
    for step in (1, 4, 7, call.turns):
        out[...] = np.nan
        threads = [
            threading.Thread(target=run, args=(ctypes.addressof(table), n, min(n + step, call.turns)))
            for n in range(0, call.turns, step)
        ]
        for thread in reversed(threads):
            thread.start()
        for thread in threads:
            thread.join()
        np.testing.assert_array_equal(out, expected)


def test_calls_from_many_threads(eager, calls):
    f = sg.function([x], [sg.softmax(x), sg.sum(x)], options=sg.Options(threads=3, backend="llvm"))
    array, wrong = draw(x, (3 * BLOCK,)), []
    expected = bits(f(array))

    def work():
        for _ in range(15):
            if bits(f(array)) != expected:
                wrong.append(1)

    together(*[work] * 4)
    assert not wrong and calls


def test_in_loops(eager, calls):
    start = sg.placeholder("float32", (), name="start")
    last, _ = sg.scan(lambda carry, row: (carry * 0.5 + sg.sum(row * carry), carry), start, m)
    made = [sg.function([start, m], last, options=sg.Options(threads=n, backend="llvm")) for n in (1, 4)]
    array = draw(m, (4, 2 * BLOCK + 1)) / 100
    assert made[0](np.float32(1), array).tobytes() == made[1](np.float32(1), array).tobytes()
    assert calls


def test_short_rows_are_one_threads(calls):
    _, (f,) = functions([sg.sum(x)], (2,))
    f(draw(x, (BLOCK,)))
    assert not calls
    f(draw(x, (1_000_000,)))
    assert calls and len(pool()._threads) >= 1


def test_rows_enough_for_all_threads_are_shared_as_rows(calls):
    f = sg.function([m], sg.sum(m, axis=1), options=sg.Options(threads=2, backend="llvm"))
    f(draw(m, (2, 200_000)))
    f(draw(m, (500, 2000)))
    assert not calls


def test_neighbouring_rows_are_claimed_by_vectors(monkeypatch):
    made = []
    noticing(monkeypatch, lambda call, given: made.append((call.chunk, given.get("grain", 1))))
    f = sg.function([m], sg.sum(m, axis=0), options=sg.Options(threads=2, backend="llvm"))
    f(draw(m, (1000, 1000)))
    ((chunk, grain),) = made
    assert grain > 1 and chunk % grain == 0 and chunk < 1000
