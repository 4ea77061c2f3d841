"""Reads and writes by indices as CUDA C, beside NumPy's: keys, dtypes, layouts, bounds, order, many and few values."""

import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen import cuda_forms
from symgraph.codegen.cuda_order import (
    print_order_count,
    print_order_move,
    print_order_sum,
    print_order_tile,
)
from symgraph.graph.evaluate import bind_sizes
from symgraph.ops.index import index
from symgraph.ops.keys import parse_key
from symgraph.ops.update import MODES, update
from symgraph.optimizations.plan import Call
from symgraph.runtime import emulator, nvrtc
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.cuda_gather import CudaGather, is_cuda_gather, names_once
from symgraph.runtime.cuda_launch import Trouble
from symgraph.runtime.device import text_of
from symgraph.runtime.simulator import Simulator
from tests.codegen import cuda_cases
from tests.codegen.test_llvm_gather import (
    BAD,
    INDICES,
    KEYS,
    ROWS,
    apart,
    backwards,
    bits,
    draw,
    in_order,
    parts_of,
    read_of,
    spelled,
    turned,
)
from tests.codegen.test_llvm_gather import expected as given_by_numpy
from tests.concurrency import together

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]
SEEDS = (0, 1, 2)
STEP = 7


def shifted(x):
    """Aligned to a number, and to no more."""
    memory = np.zeros(x.nbytes + 64, np.uint8)
    begin = -memory.ctypes.data % 16 + x.itemsize
    found = np.frombuffer(memory.data, x.dtype, x.size, begin).reshape(x.shape)
    found[...] = x
    return found


LAYOUTS = (in_order, turned, apart, backwards, shifted)


def expected(*what):
    with np.errstate(all="ignore"):
        return given_by_numpy(*what)


class Case(cuda_cases.Case):
    """With what is told of indices out of bounds."""

    def __init__(self, device, node, given, arrays, *, over=False):
        self.trouble = Trouble(device)
        made = CudaGather(Call(node), device, self.trouble, STEP)
        read = read_of(node, given, arrays)
        super().__init__(node, made, bind_sizes(given, arrays), read, 0 if over else None)


def check(device, cases, wanted, compare=np.testing.assert_array_equal):
    """All cases in all orders of threads; their texts are compiled together."""
    device.load([kernel for case in cases for kernel in case.kernels()])
    for case, each in zip(cases, wanted, strict=True):
        found = []
        for device.seed in SEEDS:
            found.append(case.run())
            assert not case.trouble.told()
            assert bits(found[-1]).tobytes() == bits(found[0]).tobytes()
        compare(each, found[0])


def test_reads():
    device = Simulator()
    cases, wanted = [], []
    for shape, key in KEYS:
        for n, row in enumerate(ROWS):
            start = n + len(str(key))
            kind, other = INDICES[start % len(INDICES)], LAYOUTS[start % len(LAYOUTS)]
            x, parts, nodes, arrays = spelled(shape, row, key, kind, other)
            node = index.op(x, *nodes, items=parse_key(x, parts)[0])
            for lay in LAYOUTS[start % 2 :: 2]:
                given, lying = [x, *nodes], [lay(draw(shape, row)), *arrays]
                cases.append(Case(device, node, given, lying))
                wanted.append(expected(node, given, lying))
    check(device, cases, wanted)


COMPUTED = ("float32", "int16", "float64", "uint8", "int64", "float16")


@pytest.mark.parametrize("mode", ("set", *MODES))
def test_writes(mode):
    device = Simulator()
    cases, wanted = [], []
    for shape, key in KEYS:
        start = len(str(key)) % 6
        rows = ("bool", "float16", "float32", "complex64", "complex128")
        if mode != "set":
            rows = (*COMPUTED, *COMPUTED)[start : start + 3]
        for n, row in enumerate(rows):
            lay, other = LAYOUTS[(start + n) % len(LAYOUTS)], LAYOUTS[(start + 2 * n) % len(LAYOUTS)]
            kind = INDICES[(start + n) % len(INDICES)]
            x, parts, nodes, arrays = spelled(shape, row, key, kind, other)
            picked = draw(shape, row)[parts_of(key)].shape
            own = (picked, picked[1:], ())[n % 3]
            value = sg.placeholder(row, tuple(f"v{axis}" for axis in range(len(own))), name="value")
            node = update.op(x, value, *nodes, items=parse_key(x, parts)[0], mode=mode)
            assert is_cuda_gather(Call(node))
            given, lying = [x, value, *nodes], [lay(draw(shape, row)), lay(draw(own, row, 1)), *arrays]
            cases += [Case(device, node, given, lying, over=over) for over in (False, True)]
            wanted += [expected(node, given, lying)] * 2
    check(device, cases, wanted)


def updated(row, width, mode):
    """Values for rows of some width, one index each."""
    inner = ("k",) if width else ()
    x = sg.placeholder(row, ("v", *inner), name="x")
    value, places = (
        sg.placeholder(row, ("n", *inner), name="value"),
        sg.placeholder("int64", ("n",), name="places"),
    )
    return update(x, value, places, mode), [x, value, places]


@pytest.mark.parametrize("rows", (1, 3, 300, 70_000))
def test_many_values_for_few_rows_and_few_for_many(rows):
    device, rng = Simulator(), np.random.default_rng(rows)
    cases, wanted = [], []
    for count, width, (mode, row) in zip(
        (1, 2, 255, 256, 257, 511, 513, 800, 3000, 4096, 4097, 9000),
        itertools.cycle((0, 3, 8, 0, 64)),
        itertools.cycle((("set", "float32"), ("add", "int32"), ("max", "float32"), ("multiply", "uint8"))),
        strict=False,
    ):
        if rows * max(1, width) > 1_000_000 or count * max(1, width) > 40_000:
            width = 1
        inner = (width,) if width else ()
        node, given = updated(row, width, mode)
        arrays = [
            draw((rows, *inner), row),
            draw((count, *inner), row, 1),
            rng.integers(-rows, rows, count) // rng.integers(1, 4, count),
        ]
        cases.append(Case(device, node, given, arrays))
        wanted.append(expected(node, given, arrays))
    check(device, cases, wanted)


def test_sums_have_one_order():
    device, rng = Simulator(), np.random.default_rng(0)
    for count, width, exact in ((256, 0, True), (500, 5, True), (256, 64, True), (5000, 0, False)):
        node, given = updated("float32", width, "add")
        inner = (width,) if width else ()
        rows = 2 if exact else 1
        places = np.arange(count) % rows
        arrays = [np.zeros((rows, *inner), "f4"), rng.normal(size=(count, *inner)).astype("f4"), places]
        case = Case(device, node, given, arrays)
        if exact:
            check(device, [case], [expected(node, given, arrays)])
        else:
            total = arrays[1].astype("f8").sum(axis=0, keepdims=True)
            check(
                device, [case], [total],
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-3),
            )  # fmt: skip


def test_large_axes_have_wide_indices(monkeypatch):
    monkeypatch.setattr(cuda_forms, "_NEAR", 1)
    device, rng = Simulator(), np.random.default_rng(0)
    cases, wanted = [], []
    for count, width in ((5, 3), (300, 0), (5000, 4)):
        for mode in ("set", "add"):
            node, given = updated("int32", width, mode)
            inner = (width,) if width else ()
            places = rng.integers(-70, 70, count)
            arrays = [draw((70, *inner), "int32"), draw((count, *inner), "int32", 1), places]
            for each in (node, given[0][given[2]]):
                own = given if each is node else [given[0], given[2]]
                lying = arrays if each is node else [arrays[0], places]
                cases.append(Case(device, each, own, lying))
                wanted.append(expected(each, own, lying))
    check(device, cases, wanted)
    assert all("const long long" in kernel.text for case in cases for kernel in case.kernels())


def test_neighbours_are_moved_at_once():
    x, i = sg.placeholder("float32", ("a", "b"), name="x"), sg.placeholder("int32", ("n",), name="i")
    value = sg.placeholder("float32", ("n", "b"), name="v")
    for node, given in ((x[i], [x, i]), (update(x, value, i, "add"), [x, value, i])):
        arrays = {"x": draw((9, 64), "float32"), "i": np.arange(5, dtype="i4"), "v": draw((5, 64), "float32")}
        case = Case(Simulator(), node, given, [arrays[each.name] for each in given])
        text = case.kernels()[-1].text

        assert "sg_load<" in text
        assert "sg_store(" in text


def test_places_that_are_counted_are_named_once():
    t, n = sg.placeholder("int64", ("n",), name="t"), sg.placeholder("int64", ("n", "m"), name="n")
    rows = sg.reshape(sg.iota(t.shape[0]), (t.shape[0], 1))

    assert names_once([rows, sg.expand_dims(t, 1)])
    assert names_once([sg.expand_dims(t, 1), rows])
    assert not names_once([t])
    assert not names_once([rows, n])
    assert names_once([])


@pytest.mark.parametrize("bad", BAD)
def test_an_index_out_of_bounds(bad):
    device = Simulator()
    x, places, value = (
        sg.placeholder("float64", ("v", "k"), name="x"),
        sg.placeholder("int64", ("n",), name="places"),
        sg.placeholder("float64", ("n", "k"), name="value"),
    )
    others = sg.placeholder("int64", ("n",), name="others")
    column = sg.placeholder("float64", ("n",), name="column")
    array, good = draw((5, 3), "float64"), np.array([0, 2, 4, 1, -5, 3, 3])
    cases = []
    for n in range(len(good)):
        wrong = good.copy()
        wrong[n] = bad
        new = draw((7, 3), "float64")
        for node, given, lying in (
            (x[places], [x, places], [array, wrong]),
            (x[:, places], [x, places], [array.T, wrong]),
            (x[places, others], [x, places, others], [array, wrong, good * 0]),
            (x[others, places], [x, others, places], [array.T, good * 0, wrong]),
            (update(x, value, places, "set"), [x, value, places], [array, new, wrong]),
            (update(x, value, places, "add"), [x, value, places], [array, new, wrong]),
            (
                update(x, column, (places, others), "add"),
                [x, column, places, others],
                [array, draw((7,), "float64"), wrong, good * 0],
            ),
        ):
            with pytest.raises(IndexError):
                expected(node, given, lying)
            cases.append(Case(device, node, given, lying))
    device.load([kernel for case in cases for kernel in case.kernels()])
    for device.seed, case in zip(itertools.cycle(SEEDS), cases, strict=False):
        case.run()
        assert case.trouble.told() == STEP
        assert not case.trouble.told()


def test_indices_of_nothing_are_looked_at_as_numpy_does():
    device = Simulator()
    x, places = (
        sg.placeholder("float64", ("a", "b"), name="x"),
        sg.placeholder("int64", ("n",), name="places"),
    )
    one, value = sg.placeholder("int64", (), name="one"), sg.placeholder("float64", (), name="value")
    for shape, node, given, arrays in (
        ((3, 4), x[places, 0:0], [places], [np.array([7])]),
        ((3, 4), x[0:0, places], [places], [np.array([7])]),
        ((3, 4), x[one, 0:0], [one], [np.array(7)]),
        ((0, 4), x[places], [places], [np.array([0])]),
        ((0, 4), x[:, places], [places], [np.array([4])]),
        ((3, 4), x[one, places], [one, places], [np.array(7), np.zeros(0, int)]),
        ((3, 4), x[places, places], [places], [np.zeros(0, int)]),
        ((0, 4), update(x, value, places, "add"), [value, places], [np.array(1.0), np.array([0])]),
        ((3, 0), update(x, value, places, "add"), [value, places], [np.array(1.0), np.array([3, 0])]),
        ((3, 0), update(x, value, places, "set"), [value, places], [np.array(1.0), np.array([2, 2])]),
    ):
        lying = [np.zeros(shape), *arrays]
        case = Case(device, node, [x, *given], lying)
        try:
            wanted = expected(node, [x, *given], lying)
        except IndexError:
            case.run()
            assert case.trouble.told() == STEP
        else:
            np.testing.assert_array_equal(wanted, case.run())
            assert not case.trouble.told()


def test_nan_and_infinity_are_moved_and_met():
    device = Simulator()
    strange = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-42], "float32")
    for mode in MODES:
        node, given = updated("float32", 0, mode)
        arrays = [strange, np.array([1, np.nan, np.inf, 2, np.nan], "float32"), np.arange(5)]
        check(device, [Case(device, node, given, arrays)], [expected(node, given, arrays)])
    x, places = given[0], given[2]
    found = Case(device, x[places], [x, places], [strange, np.arange(5)]).run()
    assert bits(found).tobytes() == bits(strange).tobytes()


def test_what_data_decide_is_left_to_a_library():
    x, mask = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("bool", ("n",), name="mask")

    assert not is_cuda_gather(Call(x[mask]))
    assert not is_cuda_gather(Call(x.at[mask].set(0.0)))
    assert not is_cuda_gather(Call(sg.placeholder("complex64", ("n",), name="z").at[[1, 1]].add(1)))


# In programs


def program(outputs, inputs, seed=0):
    return CudaProgram(sg.function(inputs, outputs).plan, Simulator(seed))


def test_the_gradients_of_embeddings_and_of_cross_entropy():
    rng = np.random.default_rng(0)
    table, words = (
        sg.placeholder("float32", ("v", "k"), name="t"),
        sg.placeholder("int32", ("n", "l"), name="w"),
    )
    x, labels = (
        sg.placeholder("float32", ("n", "m"), name="x"),
        sg.placeholder("int64", ("n",), name="labels"),
    )
    loss = sg.mean(sg.cross_entropy(x, labels))
    total = sg.sum(sg.tanh(table[words]))
    for outputs, inputs, arrays in (
        ([total, *sg.grad(total, [table])], [table, words],
         [rng.normal(size=(50, 16)).astype("f4"), rng.integers(-50, 50, (40, 7)).astype("i4")]),
        ([loss, *sg.grad(loss, [x])], [x, labels],
         [rng.normal(size=(40, 100)).astype("f4"), rng.integers(0, 100, 40)]),
    ):  # fmt: skip
        wanted = sg.evaluate(outputs, dict(zip(inputs, arrays, strict=True)))
        first = None
        for seed in SEEDS:
            made = program(outputs, inputs, seed)
            assert sum(isinstance(each, CudaGather) for each in made.codes.values()) == 2
            found = made.run(arrays)
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
            first = first or found
            assert [bits(a).tobytes() for a in found] == [bits(a).tobytes() for a in first]


def test_an_error_names_the_line_and_is_forgotten():
    x, i = sg.placeholder("float64", ("n", "k"), name="x"), sg.placeholder("int64", ("m",), name="i")
    made = program([sg.tanh(x[i]) @ x.T, x.at[i].add(1.0)], [x, i])
    array = draw((4, 3), "float64")
    for _ in range(3):
        with pytest.raises(sg.OutOfBoundsError, match=r"index 4 is out of bounds[^$]*test_cuda_gather"):
            made.run([array, np.array([1, 4])])
        found = made.run([array, np.array([1, 1])])
        np.testing.assert_array_equal(array[1] + 2, found[1][1])


def test_a_call_that_fails_changes_no_variable():
    i, w = sg.placeholder("int64", ("m",), name="i"), sg.variable(np.zeros(4), name="w")
    step = sg.function(
        [i], sg.sum(w[i]), updates={w: w.at[i].add(1.0)}, options=sg.Options(device="cuda-sim")
    )

    assert step(np.array([1, 1, 2])) == 0
    for _ in range(2):
        with pytest.raises(sg.OutOfBoundsError, match="test_cuda_gather"):
            step(np.array([0, 4]))
    np.testing.assert_array_equal([0, 2, 1, 0], w.value)


def test_arrays_that_begin_elsewhere():
    x, i = sg.placeholder("float32", ("n", 64), name="x"), sg.placeholder("int64", ("m",), name="i")
    made, array, places = program([x[i]], [x, i]), draw((9, 64), "float32"), np.array([3, 3, 0])

    for lay in (in_order, shifted, in_order):
        np.testing.assert_array_equal(array[places], made.run([lay(array), lay(places)])[0])


def test_what_was_donated_is_not_asked_again():
    x, i = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("int64", ("m",), name="i")
    plan = sg.function([x, i], x.at[i].add(1.0)).plan
    made = CudaProgram(plan, Simulator(), donated=[plan.given[0]])

    with pytest.raises(sg.OutOfBoundsError, match=r"update: an index is out of bounds[^$]*test_cuda_gather"):
        made.run([np.zeros(4), np.array([1, 4])])


def test_shapes_that_do_not_go_together():
    x, value = (
        sg.placeholder("float64", ("a", "b"), name="x"),
        sg.placeholder("float64", ("v", "w"), name="value"),
    )
    i, j = (sg.placeholder("int64", (name,), name=name) for name in "ij")
    for outputs, given, arrays in (
        (x[i, j], [x, i, j], [np.zeros((3, 4)), np.arange(2), np.arange(3)]),
        (update(x, value, i, "add"), [x, value, i], [np.zeros((3, 4)), np.zeros((2, 3)), np.arange(2)]),
        (update(x, value, i, "set"), [x, value, i], [np.zeros((3, 4)), np.zeros((3, 4)), np.arange(2)]),
    ):
        made = program([outputs], given)
        for _ in range(2):
            with pytest.raises(sg.SymgraphError, match="test_cuda_gather"):
                made.run(arrays)


def test_threads_have_words_of_their_own():
    x, i = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("int64", ("m",), name="i")
    made, array, wrong = program([x[i]], [x, i]), np.arange(5.0), []
    made.run([array, np.array([0])])

    def good():
        for _ in range(20):
            (found,) = made.run([array, np.array([4, 0])])
            if found.tolist() != [4, 0]:
                wrong.append(found)

    def bad():
        for _ in range(20):
            with pytest.raises(sg.OutOfBoundsError):
                made.run([array, np.array([4, 5])])
                wrong.append("no error")

    together(good, bad, good, bad)
    assert not wrong


def test_the_text_compiles():
    if not nvrtc.available():
        pytest.skip("there is no NVRTC")
    x, i = sg.placeholder("float32", ("n", 64), name="x"), sg.placeholder("int64", ("m",), name="i")
    h, j = sg.placeholder("float16", ("n", 6), name="h"), sg.placeholder("int32", ("m", 1), name="j")
    outputs = [x[i], x[:, i], h[j, i], x.at[i].add(x[i]), h.at[j, i].max(1.0), x.at[:, i].set(2.0)]
    made = program(outputs, [x, i, h, j])
    kernels = [kernel for each in made.codes.values() for kernel in each.texts()]
    for order in (print_order_tile, print_order_count, print_order_sum, print_order_move):
        kernels += [order(wide=wide) for wide in (False, True)]
    text = text_of(list({each.functions[0]: each for each in kernels}.values()))
    for architecture in nvrtc.ARCHITECTURES:
        for name, found in nvrtc.report(text, architecture).items():
            assert not found.spilled, name
            assert not found.doubles, name
