"""Reads and writes by indices as machine code, beside NumPy's: keys, dtypes, layouts, bounds, order, threads."""

import ctypes
import itertools
import os
from functools import partial

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.layout import Step
from symgraph.codegen.llvm_gather import Indices, Loops, Move, print_move
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.machine import Machine
from symgraph.graph.binding import evaluate_dim
from symgraph.graph.evaluate import attributes_of, bind_sizes
from symgraph.graph.types import dtype
from symgraph.graph.walk import toposort
from symgraph.ops.index import index
from symgraph.ops.keys import numpy_key, parse_key
from symgraph.ops.update import MODES, update
from symgraph.optimizations.plan import Call
from symgraph.runtime import native_gather, shares
from symgraph.runtime.cpu import Loader, compiled, host
from symgraph.runtime.memory import Arena
from symgraph.runtime.native_gather import NativeGather, is_gather
from tests.codegen.test_llvm_bounds import Guarded
from tests.concurrency import noticing, together

pytestmark = pytest.mark.cpu

CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
ALL = slice(None)
KEYS = (
    ((7,), [0, 3, 3, -1, 6, -7]),
    ((7,), [[1, 2], [-3, 4]]),
    ((7,), 2),
    ((7, 5), [6, 0, 0, 3]),
    ((7, 5), (ALL, [4, 0, -1, 4])),
    ((7, 5), ([1, 2, 6], [0, -1, 4])),
    ((7, 5), ([[1], [-2]], [0, 3, 3])),
    ((7, 5), (3, [1, 1, 0])),
    ((7, 5), ([1, 0, 1], 2)),
    ((7, 5), ([2, 5], slice(4, 0, -2))),
    ((7, 5), (slice(1, None, 3), [2, 2])),
    ((7, 5), ([0, 6], None, slice(1, 1))),
    ((7, 5), np.array(3)),
    ((7, 5), (np.array(-1), np.array(2))),
    ((3, 4, 5), ([0, 2], ALL, [1, 4])),
    ((3, 4, 5), (ALL, [1, 1, 3], [4, 0, -2])),
    ((3, 4, 5), (None, [2, 0], ALL, None, [3, 3])),
    ((3, 4, 5), (1, ALL, [0, 0, 4])),
    ((3, 4, 5), ([0, 0, 2], 1, [3, 3, 1])),
    ((3, 4, 5), (np.array(1), ALL, [2, 4])),
    ((3, 4, 5), ([2, 1],)),
    ((3, 4, 5), (ALL, [[3, 0], [0, 3]])),
    ((3, 4, 5), ([0, 1], [0, 1], [0, 1])),
    ((3, 4, 5), (np.zeros((0,), int),)),
    ((3, 4, 5), (np.array(2), np.zeros((0, 2), int))),
    ((0, 4), (np.zeros((0,), int),)),
    ((0, 4), (ALL, [3, 1])),
    ((1, 1), ([0], [-1])),
    ((5, 1), ([0, 4], ALL)),
    ((2, 2, 2, 2), (ALL, [0, 1], ALL, [[1], [0]])),
    ((30, 3, 7), ([4, 29, 4],)),
    ((6, 130), ([5, 0, 0, 2],)),
)
"""Shapes and keys."""
ROWS = ("bool", "int8", "uint16", "float16", "bfloat16", "float32", "int64", "complex64", "complex128")
INDICES = ("int64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64")


def in_order(x):
    return x


def turned(x):
    return np.array(x, order="F")


def apart(x):
    found = np.zeros([3 * size for size in x.shape], x.dtype)[(*[slice(1, None, 3)] * x.ndim, ...)]
    found[...] = x
    return found


def backwards(x):
    key = tuple(slice(None, None, -1) for _ in x.shape)
    return np.ascontiguousarray(x[key])[key] if x.ndim else x


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    found = np.frombuffer(memory.data, x.dtype, x.size, 1).reshape(x.shape)
    found[...] = x
    return found


LAYOUTS = (in_order, turned, apart, backwards, unaligned)


def parts_of(key):
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(np.asarray(part) if isinstance(part, list) else part for part in parts)


def spelled(shape, row, key, kind="int64", lay=in_order):
    """The node of x, the key with nodes for its arrays, these nodes, and the arrays; of sizes that a call decides."""
    x = sg.placeholder(row, tuple(f"x{n}" for n in range(len(shape))), name="x")
    nodes, arrays, parts = [], [], []
    for part in parts_of(key):
        if isinstance(part, np.ndarray):
            n = len(nodes)
            if kind.startswith("u"):
                part = np.where(part < 0, ~part, part)
            names = tuple(f"i{n}_{axis}" if size != 1 else 1 for axis, size in enumerate(part.shape))
            if nodes and part.shape and nodes[0].ndim == part.ndim and arrays[0].shape == part.shape:
                names = nodes[0].shape
            nodes.append(sg.placeholder(kind, names, name=f"i{n}"))
            arrays.append(lay(part.astype(kind)))
            part = nodes[-1]
        parts.append(part)
    return x, tuple(parts), nodes, arrays


def draw(shape, row, seed=0):
    rng = np.random.default_rng(seed)
    if row == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    found = np.asarray(rng.integers(-40, 40, shape)).astype("int64")
    if row.startswith("complex"):
        found = found + 1j * draw(shape, "int64", seed + 1)
    return np.asarray(found, dtype(row).numpy)


def read_of(node, given, arrays):
    by_node = dict(zip(map(id, given), arrays, strict=True))
    return [by_node[id(x)] for x in node.inputs]


def run(node, given, arrays, *, over=False):
    """What machine code makes of a step, in garbage between bytes that nobody writes."""
    native = NativeGather(Call(node))
    sizes = bind_sizes(given, arrays)
    shape = tuple(evaluate_dim(size, sizes) for size in node.shape)
    read = read_of(node, given, arrays)
    memory = np.full(int(np.prod(shape)) * node.dtype.itemsize + 512, 0xA5, np.uint8)
    y = np.ndarray(shape, node.dtype, memory, 256)
    if over:
        y[...] = read[0]
        read[0] = y
    try:
        native.call([*read, y], sizes, 0)([*read, y], Arena(np.empty(64, np.uint8)))
    finally:
        assert (memory[:256] == 0xA5).all()
        assert (memory[256 + y.nbytes :] == 0xA5).all()
    return y


def expected(node, given, arrays):
    sizes = bind_sizes(given, arrays)
    read = read_of(node, given, arrays)
    attributes = attributes_of(node)(sizes)
    if node.op is update.op:
        # NumPy takes indices in the order in which they lie, and ufunc.at reads past values that broadcast to them.
        read[2:] = [np.array(x, order="C") for x in read[2:]]
        picked = read[0][numpy_key(attributes["items"], read[2:])]
        read[1] = np.array(np.broadcast_to(read[1], picked.shape))
    return node.op.numpy(*read, **attributes)


def bits(x):
    return np.ascontiguousarray(x).view(np.uint8)


@pytest.mark.parametrize("shape, key", KEYS, ids=str)
def test_reads(shape, key):
    for n, row in enumerate(ROWS):
        start = n + len(str(key))
        kind, other = INDICES[start % len(INDICES)], LAYOUTS[start % len(LAYOUTS)]
        x, parts, nodes, arrays = spelled(shape, row, key, kind, other)
        node = index.op(x, *nodes, items=parse_key(x, parts)[0])
        for lay in LAYOUTS:
            given, lying = [x, *nodes], [lay(draw(shape, row)), *arrays]

            np.testing.assert_array_equal(expected(node, given, lying), run(node, given, lying))


COMPUTED = ("float32", "int16", "float64", "uint8", "int64")


@pytest.mark.parametrize("mode", ("set", *MODES))
@pytest.mark.parametrize("shape, key", KEYS, ids=str)
def test_writes(shape, key, mode):
    start = len(str(key)) % 5
    rows = (
        ("bool", "float16", "float32", "complex64", "complex128") if mode == "set" else (*COMPUTED, *COMPUTED)
    )
    for (n, row), lay in zip(
        enumerate(rows[start : start + 5] if mode != "set" else rows), LAYOUTS, strict=True
    ):
        kind, other = INDICES[(start + n) % len(INDICES)], LAYOUTS[(start + n) % len(LAYOUTS)]
        x, parts, nodes, arrays = spelled(shape, row, key, kind, other)
        picked = draw(shape, row)[parts_of(key)].shape
        own = (picked, picked[1:], ())[n % 3]
        value = sg.placeholder(row, tuple(f"v{axis}" for axis in range(len(own))), name="value")
        node = update.op(x, value, *nodes, items=parse_key(x, parts)[0], mode=mode)
        assert is_gather(Call(node))
        given, lying = [x, value, *nodes], [lay(draw(shape, row)), lay(draw(own, row, 1)), *arrays]
        wanted = expected(node, given, lying)

        np.testing.assert_array_equal(wanted, run(node, given, lying))
        np.testing.assert_array_equal(wanted, run(node, given, lying, over=True))


def test_zeros_that_are_one_number_become_sums():
    x, places, value = (
        sg.placeholder("float32", ("v", "k"), name="x"),
        sg.placeholder("int64", ("n",), name="places"),
        sg.placeholder("float32", ("n", "k"), name="value"),
    )
    node = update(x, value, places, "add")
    for size in (0, 1, 3, 8, 16, 17, 63, 64, 100):
        zeros = np.broadcast_to(np.float32(0), (9, size))
        given = [zeros, draw((5, size), "float32"), np.array([1, 1, 8, 1, -1])]
        wanted = np.zeros((9, size), "float32")
        np.add.at(wanted, given[2], given[1])

        np.testing.assert_array_equal(wanted, run(node, [x, value, places], given))


def test_the_last_value_stays_and_sums_have_one_order():
    x, value = (sg.placeholder("float64", ("n",), name=name) for name in ("x", "value"))
    places = sg.placeholder("int64", ("k",), name="places")
    value = sg.placeholder("float64", ("k",), name="value")
    given = [np.zeros(3), np.array([1e16, 1.0, -1e16, 3.0]), np.array([1, 1, 1, 1])]

    added, last = (run(update(x, value, places, mode), [x, value, places], given) for mode in ("add", "set"))
    np.testing.assert_array_equal([0, ((1e16 + 1.0) - 1e16) + 3.0, 0], added)
    np.testing.assert_array_equal([0, 3, 0], last)


def test_nan_and_infinity_are_moved_and_met():
    x = sg.placeholder("float32", ("n",), name="x")
    places, value = (
        sg.placeholder("int64", ("k",), name="places"),
        sg.placeholder("float32", ("k",), name="value"),
    )
    strange = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-42], "float32")
    at = np.arange(5)
    assert bits(run(x[places], [x, places], [strange, at])).tobytes() == bits(strange).tobytes()
    for mode in MODES:
        given = [strange, np.array([1, np.nan, np.inf, 2, np.nan], "float32"), at]
        node = update(x, value, places, mode)
        with np.errstate(all="ignore"):
            wanted = expected(node, [x, value, places], given)
        np.testing.assert_array_equal(wanted, run(node, [x, value, places], given))


BAD = (5, -6, 127, -128, 1 << 20, -(1 << 40), 2**63 - 1, -(2**63))


@pytest.mark.parametrize("bad", BAD)
def test_an_index_out_of_bounds(bad):
    x, places, value = (
        sg.placeholder("float64", ("v", "k"), name="x"),
        sg.placeholder("int64", ("n",), name="places"),
        sg.placeholder("float64", ("n", "k"), name="value"),
    )
    others = sg.placeholder("int64", ("n",), name="others")
    column = sg.placeholder("float64", ("n",), name="column")
    array, good = draw((5, 3), "float64"), np.array([0, 2, 4, 1, -5, 3, 3])
    for n in range(len(good)):
        wrong = good.copy()
        wrong[n] = bad
        for node, given, lying in (
            (x[places], [x, places], [array, wrong]),
            (x[:, places], [x, places], [array.T, wrong]),
            (x[places, others], [x, places, others], [array, wrong, good * 0]),
            (x[others, places], [x, others, places], [array.T, good * 0, wrong]),
            (update(x, value, places, "set"), [x, value, places], [array, draw((7, 3), "float64"), wrong]),
            (update(x, value, places, "add"), [x, value, places], [array, draw((7, 3), "float64"), wrong]),
            (
                update(x, column, (places, others), "add"),
                [x, column, places, others],
                [array, draw((7,), "float64"), wrong, good * 0],
            ),
        ):
            with pytest.raises(IndexError):
                expected(node, given, lying)
            with pytest.raises(IndexError):
                run(node, given, lying)


def test_indices_of_nothing_are_looked_at_as_numpy_does():
    x, places = (
        sg.placeholder("float64", ("a", "b"), name="x"),
        sg.placeholder("int64", ("n",), name="places"),
    )
    one = sg.placeholder("int64", (), name="one")
    for shape, node, given, arrays in (
        ((3, 4), x[places, 0:0], [places], [np.array([7])]),
        ((3, 4), x[0:0, places], [places], [np.array([7])]),
        ((3, 4), x[one, 0:0], [one], [np.array(7)]),
        ((0, 4), x[places], [places], [np.array([0])]),
        ((0, 4), x[:, places], [places], [np.array([4])]),
        ((3, 4), x[one, places], [one, places], [np.array(7), np.zeros(0, int)]),
        ((3, 4), x[places, places], [places], [np.zeros(0, int)]),
    ):
        lying = [np.zeros(shape), *arrays]
        try:
            wanted = expected(node, [x, *given], lying)
        except IndexError:
            with pytest.raises(IndexError):
                run(node, [x, *given], lying)
        else:
            np.testing.assert_array_equal(wanted, run(node, [x, *given], lying))


def test_a_number_without_a_sign_that_is_a_large_one():
    x, places = sg.placeholder("int16", ("a",), name="x"), sg.placeholder("uint64", ("n",), name="places")
    lying = [draw((9,), "int16"), np.array([2**64 - 1, 3], "uint64")]

    np.testing.assert_array_equal(expected(x[places], [x, places], lying), run(x[places], [x, places], lying))


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
        f = sg.function(given, outputs)
        for _ in range(4):
            with pytest.raises(sg.SymgraphError, match="test_llvm_gather"):
                f(*arrays)


def test_one_text_for_all_sizes():
    x, i = sg.placeholder("float32", ("a", "b"), name="x"), sg.placeholder("int32", ("n",), name="i")
    for node in (x[i], x[:, i], update(x, sg.placeholder("float32", ("n", "b"), name="v"), i, "add")):
        native = NativeGather(Call(node))
        for a, b, n in itertools.product((1, 2, 9), (1, 5, 64), (1, 2, 30)):
            arrays = {"x": np.zeros((a, b), "f4"), "i": np.zeros(n, "i4"), "v": np.zeros((n, b), "f4")}
            given = [arrays[each.name] for each in node.inputs]
            sizes = bind_sizes(node.inputs, given)
            shape = tuple(evaluate_dim(size, sizes) for size in node.shape)
            native.printed_for([*given, np.zeros(shape, "f4")], sizes)
        assert len(native.texts()) == 1


def test_parts_of_a_range_give_the_same():
    move = Move(
        dtype("float32"), 1, "add", Loops(2, Step.UNIT), (Indices(dtype("int64"), 1),), Loops(1, Step.UNIT)
    )
    function = of_machine(move, host(), 0)
    x, value, at = draw((9, 21), "float32"), draw((12, 21), "float32", 1), np.arange(12) % 5 - 2
    wanted = x.copy()
    np.add.at(wanted, at, value)
    for step in (1, 2, 5, 12):
        y, trouble = np.full_like(x, np.nan), np.zeros(1, np.int64)
        table = np.array(
            [*(each.ctypes.data for each in (x, value, at, y)), 0, x.size, 4, 4, 0, 9, 84,
             12, 84, 0, 8, 21, 4, 4, 0, trouble.ctypes.data], np.int64,
        )  # fmt: skip
        for begin in range(0, 12, step):
            CALL(function)(table.ctypes.data, begin, min(12, begin + step))
        np.testing.assert_array_equal(wanted, y)
        assert not trouble[0]


LOADERS = []
"""Code stays where it is."""


def of_machine(move, machine, level):
    """The address of a function compiled by itself."""
    native = print_move(move, machine)
    name = f"{native.name}_{machine.cpu}_{level}_{len(LOADERS)}".replace("-", "_")
    LOADERS.append(Loader())
    LOADERS[-1].load(compiled(module([native], machine).replace(native.name, name), level))
    return LOADERS[-1].address(name)


@pytest.mark.parametrize("cpu", ("avx2", "sse2"))
@pytest.mark.parametrize("level", (0, 2))
def test_machines_with_narrower_vectors(cpu, level):
    if not host().triple.startswith("x86_64"):
        pytest.skip("machines of another family")
    if cpu == "avx2" and host().bytes < 32:
        pytest.skip("no AVX2 here")
    machine = (
        Machine(host().triple, "haswell", "+avx2,+fma", 32, True, False)
        if cpu == "avx2"
        else Machine(host().triple, "x86-64", "+sse2", 16, False, False)
    )
    for row, last in itertools.product(
        ("uint8", "uint16", "uint32", "uint64"), (Step.UNIT, Step.NONE, Step.FAR)
    ):
        move = Move(dtype(row), 1, "read", Loops(2, last), (Indices(dtype("int8"), 1),))
        function = of_machine(move, machine, level)
        for size in (0, 1, 2, 3, 7, 15, 16, 33, 100):
            x = draw((5, size), row)
            x = np.broadcast_to(x[:, :1], x.shape) if last is Step.NONE and size else x
            at, y, trouble = np.array([4, -5, 1], "int8"), np.zeros((3, size), row), np.zeros(1, np.int64)
            table = np.array(
                [x.ctypes.data, at.ctypes.data, y.ctypes.data, 0, 0, 5, x.strides[0],
                 3, 0, y.strides[0], 1, size, x.strides[1], x.itemsize, 0, trouble.ctypes.data], np.int64,
            )  # fmt: skip
            CALL(function)(table.ctypes.data, 0, 3)
            np.testing.assert_array_equal(x[at], y)


@pytest.mark.skipif(os.name != "posix", reason="pages are protected by mprotect")
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("size", (0, 1, 3, 16, 31, 64, 129))
def test_no_byte_beside(size, at_end):
    for row, mode, bad in itertools.product(
        ("int8", "float32", "complex128"), ("read", "set", "add"), (None, 5, -6, 2**62, -(2**63))
    ):
        x = sg.placeholder(row, ("a", "b"), name="x")
        value, i = sg.placeholder(row, ("n", "b"), name="value"), sg.placeholder("int64", ("n",), name="i")
        node = x[i] if mode == "read" else update(x, value, i, mode)
        if not is_gather(Call(node)):
            continue
        arrays = {"x": draw((5, size), row), "i": np.array([4, -5, 0, 2]), "value": draw((4, size), row, 1)}
        given = [arrays[each.name] for each in node.inputs]
        wanted = expected(node, list(node.inputs), given)
        if bad is not None:
            arrays["i"][2] = bad
        guarded = Guarded()
        lying = []
        for each in given:
            _, place = guarded.array(each.shape, each.dtype, at_end)
            place[...] = each
            lying.append(place)
        whole, y = guarded.array(wanted.shape, wanted.dtype, at_end)
        native, sizes = NativeGather(Call(node)), bind_sizes(node.inputs, given)
        call = native.call([*lying, y], sizes, 0)
        if bad is None:
            call([*lying, y], Arena(np.empty(64, np.uint8)))
            np.testing.assert_array_equal(wanted, y)
        else:
            with pytest.raises(IndexError):
                call([*lying, y], Arena(np.empty(64, np.uint8)))
        rest = whole[: len(whole) - y.nbytes] if at_end else whole[y.nbytes :]
        assert (rest == 0xA5).all()


def test_threads():
    x, i = sg.placeholder("float64", ("a", 8), name="x"), sg.placeholder("int64", ("n",), name="i")
    f = sg.function([x, i], x.at[i].add(x[i] * 2), options=sg.Options(backend="llvm"))
    rng, wrong = np.random.default_rng(0), []
    array = draw((50, 8), "float64")

    def work(seed):
        rng = np.random.default_rng(seed)
        for n in range(300):
            at = rng.integers(-50, 50, 40)
            if n % 7 == 3:
                at[rng.integers(40)] = 50
                try:
                    f(array, at)
                    wrong.append("no error")
                except sg.SymgraphError:
                    pass
                continue
            wanted = array.copy()
            np.add.at(wanted, at, array[at] * 2)
            if not np.array_equal(wanted, f(array, at)):
                wrong.append(seed)

    for _ in range(3):
        f(array, rng.integers(-50, 50, 40))
    together(*(partial(work, seed) for seed in range(8)))
    assert not wrong


def test_what_data_decide_is_left_to_numpy():
    x, mask = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("bool", ("n",), name="mask")

    assert not is_gather(Call(x[mask]))
    assert not is_gather(Call(x.at[mask].set(0.0)))
    assert not is_gather(Call(sg.placeholder("complex64", ("n",), name="z").at[[1, 1]].add(1)))


def test_the_source_shows_the_functions():
    x, i = sg.placeholder("float64", ("n", "k"), name="x"), sg.placeholder("int64", ("m",), name="i")
    f = sg.function([x, i], (x.at[i].add(1.0), sg.tanh(x)[i] @ x.T), options=sg.Options(backend="llvm"))

    text = f.source("llvm")
    for name in ("gather_", "scatter_", "matmul_", "kernel_"):
        assert f"@{name}" in text
    assert "memcpy" not in f.source("asm")


@pytest.fixture
def eager(monkeypatch):
    monkeypatch.setattr(shares, "_WORTH", 1.0)
    monkeypatch.setattr(native_gather, "_WIDE", 1)


@pytest.fixture
def shared(monkeypatch):
    """How many threads share each call that is made."""
    made = []
    noticing(monkeypatch, lambda call, _: made.append(call._shared.threads))
    return made


def by_threads(given, node, arrays):
    """What several numbers of threads make of arrays; all have the bits of one."""
    options = [sg.Options(threads=threads, backend="llvm") for threads in (1, 2, 3, 8)]
    one, *others = [sg.function(given, node, options=each)(*arrays) for each in options]
    for other in others:
        assert one.tobytes() == other.tobytes()
    return one


@pytest.mark.parametrize("mode", ("read", *MODES))
def test_threads_share_places(eager, shared, mode):
    x = sg.placeholder("float32", ("a", "b"), name="x")
    value, i = sg.placeholder("float32", ("n", "b"), name="value"), sg.placeholder("int32", ("n",), name="i")
    node, given = (x[i], [x, i]) if mode == "read" else (update(x, value, i, mode), [x, value, i])
    rng = np.random.default_rng(0)
    for a, b, n in ((1, 3, 9), (7, 5, 300), (300, 65, 1000), (1000, 1, 5), (513, 2, 256), (40, 3, 257)):
        arrays = {"x": draw((a, b), "float32"), "value": rng.choice([-1, 0.5, 2], (n, b)).astype("f4")}
        arrays["i"] = rng.integers(-a, a, n).astype("i4")
        given_arrays = [arrays[each.name] for each in given]
        found = by_threads(given, node, given_arrays)
        if a > 1:
            assert max(shared) > 1
        feed = dict(zip(given, given_arrays, strict=True))
        np.testing.assert_array_equal(found, sg.evaluate(node, feed))


def test_threads_share_places_of_several_indices_and_of_other_layouts(eager, shared):
    x = sg.placeholder("float64", ("a", "b", "c"), name="x")
    i, j = sg.placeholder("int64", ("n", 1), name="i"), sg.placeholder("int64", ("k",), name="j")
    value = sg.placeholder("float64", ("v",), name="value")
    rng = np.random.default_rng(0)
    arrays = [
        turned(draw((50, 4, 3), "float64")),
        rng.integers(-50, 50, (30, 1)),
        rng.integers(-4, 4, 6),
        draw((3,), "float64"),
    ]
    for node in (
        x.at[i, j].add(value),
        x.at[i, :, j % 3].add(1.0),
        x.at[i].max(value),
        x.at[:, j].add(2.0),
        x.at[i, 1].set(value),
        x[i, j] + value,
    ):
        known = set(toposort([node]))
        feed = {each: a for each, a in zip((x, i, j, value), arrays, strict=True) if each in known}
        found = by_threads(list(feed), node, list(feed.values()))
        np.testing.assert_array_equal(found, sg.evaluate(node, feed))
    assert max(shared) > 1


def test_indices_out_of_bounds_that_threads_find(eager, shared):
    x, i = sg.placeholder("float64", ("a", 4), name="x"), sg.placeholder("int64", ("n",), name="i")
    array, at = draw((100, 4), "float64"), np.arange(300) % 100
    for node in (x[i], x.at[i].add(x[i]), x.at[i].set(1.0)):
        f = sg.function([x, i], node, options=sg.Options(threads=3, backend="llvm"))
        for n in range(6):
            bad = at.copy()
            bad[n * 50] = 100
            with pytest.raises(sg.OutOfBoundsError, match="test_llvm_gather"):
                f(array, bad)
            np.testing.assert_array_equal(f(array, at), sg.evaluate(node, {x: array, i: at}))
    assert max(shared) > 1


def test_what_is_narrow_is_one_threads(monkeypatch, shared):
    monkeypatch.setattr(shares, "_WORTH", 1.0)
    x, i = sg.placeholder("float32", ("a",), name="x"), sg.placeholder("int64", ("n",), name="i")
    f = sg.function([x, i], x.at[i].add(1.0), options=sg.Options(threads=2, backend="llvm"))
    f(draw((1000,), "float32"), np.arange(5000) % 1000)

    assert shared == [1]
