"""A program that another process ran is run without being planned: with the same bits, errors, updates and answers."""

import pickle

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime import elf
from symgraph.runtime.code import code
from tests.api.recalling import again, arrays, assert_same, is_planned, network

pytestmark = [
    pytest.mark.skipif(not elf.is_known(), reason="programs are recalled where code loads without LLVM"),
    pytest.mark.usefixtures("place"),
]


@pytest.mark.parametrize("calls", [1, 5])
def test_a_program_that_ran_is_not_planned_again(calls):
    expected, f = again(network, *arrays(), calls=calls)
    for _ in range(6):  # the slow way, then without Python
        assert_same(expected, f(*arrays()))
    code().settle()
    assert_same(expected, f(*arrays()))

    assert not is_planned(f)


def test_a_program_that_goes_there_and_back():
    """It reads more than some caches hold."""

    def make():
        x, v = sg.placeholder("float64", ("n", "k"), name="x"), sg.placeholder("float64", ("k",), name="v")
        return sg.function([x, v], [x * 2 + v, x @ v, sg.sum(x, axis=0)], options=sg.Options(threads=1))

    rng = np.random.default_rng(0)
    given = rng.normal(size=(500, 400)), rng.normal(size=400)
    expected, f = again(make, *given)
    for _ in range(6):
        assert_same(expected, f(*given))

    assert not is_planned(f)


def test_what_is_looked_at_is_planned_then():
    _, f = again(network, *arrays())
    f(*arrays())
    planned = network()
    planned._program.stages  # noqa: B018  (asked for)
    assert not is_planned(f)

    assert f.show("stabilize") == planned.show("stabilize")
    assert planned.plan.explain() == f.plan.explain()
    assert planned.explain().count("\n") == f.explain().count("\n")
    assert planned.source("llvm") == f.source("llvm")
    assert planned.memory(*arrays()).peak == f.memory(*arrays()).peak
    assert_same(planned(*arrays()), f(*arrays()))


def test_other_shapes_are_planned_once_and_each_is_recalled():
    first = network()
    expected = [first(*arrays(n)) for n in (1, 4, 9)]
    code().settle()
    f = network()

    for n, each in zip((1, 4, 9), expected, strict=True):
        assert_same(each, f(*arrays(n)))
    assert not is_planned(f)
    found = f(*arrays(6))
    assert is_planned(f)
    assert_same(first(*arrays(6)), found)
    assert_same(expected[1], f(*arrays(4)))


def test_what_does_not_lie_in_order_is_planned():
    expected, f = again(network, *arrays())
    turned = [np.asfortranarray(x) for x in arrays()]

    np.testing.assert_allclose(f(*turned)[0], expected[0], rtol=1e-6)
    assert is_planned(f)


def test_lists_names_and_defaults_are_taken():
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    expected, f = again(lambda: sg.function([x, y], {"z": x * y + 1}, defaults={y: [1.0, 2.0]}), [3.0, 4.0])

    assert_same(expected["z"], f(x=[3.0, 4.0])["z"])
    assert_same(expected["z"], f(y=[1.0, 2.0], x=np.array([3.0, 4.0]))["z"])
    assert not is_planned(f)


@pytest.mark.parametrize(
    "change, error",
    [
        (lambda given: given[:3], sg.ArgumentError),
        (lambda given: [given[0].astype("float64"), *given[1:]], sg.DTypeError),
        (lambda given: [given[0][:, :7], *given[1:]], sg.ShapeError),
        (lambda given: [given[0][:2], *given[1:]], sg.ShapeError),
    ],
)
def test_what_does_not_fit_is_refused_in_the_same_words(change, error):
    expected, f = again(network, *arrays())
    planned = network()
    planned.plan  # noqa: B018  (asked for)
    with pytest.raises(error) as known:
        planned(*change(arrays()))
    with pytest.raises(error) as found:
        f(*change(arrays()))

    assert str(known.value).splitlines()[0] == str(found.value).splitlines()[0]
    assert_same(expected, f(*arrays()))


def test_an_index_out_of_bounds_is_told_with_its_line():
    x, i = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("int64", ("k",), name="i")
    a = np.arange(4.0)
    picked = x[i] * 2
    expected, f = again(lambda: sg.function([x, i], picked), a, np.array([3, -4]))
    assert_same(expected, f(a, np.array([3, -4])))
    assert not is_planned(f)
    with pytest.raises(IndexError, match=r"test_recalled\.py"):
        f(a, np.array([0, 4]))

    assert_same(expected, f(a, np.array([3, -4])))


def test_updates_are_those_of_a_program_that_is_planned():
    def made():
        w, n = sg.variable(np.ones(3), name="w"), sg.variable(0, name="n")
        idle = sg.variable(1.0, name="idle")
        n.default_update = n + 1
        x = sg.placeholder("float64", (3,), name="x")
        f = sg.function([x], (w * x).sum() + n + idle, updates={idle: idle, w: w + x})
        return f, w, n

    x = np.array([1.0, 2.0, 3.0])
    first, w, n = made()
    expected = [(first(x).tobytes(), w.value.tobytes(), int(n.value)) for _ in range(5)]
    code().settle()
    f, w, n = made()

    assert expected == [(f(x).tobytes(), w.value.tobytes(), int(n.value)) for _ in range(5)]
    assert not is_planned(f)


def test_a_call_that_fails_changes_no_variable():
    def made():
        w = sg.variable(np.arange(4.0), name="w")
        i = sg.placeholder("int64", (), name="i")
        return sg.function([i], w[i], updates={w: w + 1}), w

    first, _ = made()
    first(2)
    code().settle()
    f, w = made()
    with pytest.raises(IndexError):
        f(7)

    np.testing.assert_array_equal(np.arange(4.0), w.value)
    assert 3.0 == f(3)
    np.testing.assert_array_equal(np.arange(4.0) + 1, w.value)


@pytest.mark.parametrize("size", [3, 3000])
def test_constants_are_those_of_the_program(size):
    x = sg.placeholder("float64", ("n", size), name="x")

    def made(factor):
        weights = np.random.default_rng(factor).normal(size=(size, 2)) * factor
        return sg.function([x], x @ sg.constant(weights) + sg.constant(weights[0]) * 3)

    a = np.random.default_rng(5).normal(size=(4, size))
    expected, f = again(lambda: made(1), a)
    assert_same(expected, f(a))
    assert not is_planned(f)
    other = made(2)
    np.testing.assert_allclose(other(a), sg.evaluate(other.graph.outputs[0], {x: a}))

    assert is_planned(other)


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "int8",
        "uint16",
        "int64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ],
)
@pytest.mark.parametrize("shape", [(), (7,), (3, 5)])
def test_arrays_of_every_dtype_are_taken(dtype, shape):
    x = sg.placeholder(dtype, ("n", "m")[: len(shape)], name="x")
    a = (np.random.default_rng(0).normal(size=shape) * 9).astype(x.dtype)
    expected, f = again(lambda: sg.function([x], [x + x, sg.where(x == x, x * x, x)]), a)

    for _ in range(4):
        assert_same(expected, f(a))
    assert not is_planned(f)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_are_part_of_what_is_asked_for(threads):
    x = sg.placeholder("float64", ("n", 300), name="x")
    a = np.random.default_rng(0).normal(size=(900, 300))
    options = sg.Options(threads=threads)
    expected, f = again(lambda: sg.function([x], sg.erf(x * 2).sum(axis=1), options=options), a)

    assert_same(expected, f(a))
    assert not is_planned(f)
    assert is_planned(sg.function([x], sg.erf(x * 2).sum(axis=1), options=sg.Options(threads=threads + 1)))


def test_sessions_recall_too():
    x = sg.placeholder("float64", (3,), name="x")
    w = sg.variable(np.ones(3), name="w")
    a = np.array([1.0, 2.0, 3.0])

    def run():
        with sg.Session() as session:
            for _ in range(5):
                value, _ = session.run([(w * x).sum(), sg.group(sg.assign(w, w + x))], {x: a})
            program, *_ = [program for program, _ in session._programs.values()]
            return value, session.run(w), "stages" in vars(program._passes)

    *expected, planned = run()
    code().settle()
    *found, recalled = run()

    assert (True, False) == (planned, recalled)
    assert_same(expected, found)


def test_streams_of_random_numbers_move_on():
    def made():
        return sg.function([], sg.random.RandomStream(3).normal((4,)) * 2)

    first = made()
    expected = [first().tobytes() for _ in range(4)]
    code().settle()
    f = made()

    assert expected == [f().tobytes() for _ in range(4)]
    assert 4 == len(set(expected))


def test_a_function_that_was_recalled_is_pickled_and_saved(tmp_path):
    expected, f = again(network, *arrays())
    f(*arrays())
    f.save(tmp_path / "f.sg")

    assert_same(expected, pickle.loads(pickle.dumps(f))(*arrays()))
    assert_same(expected, sg.load(tmp_path / "f.sg")(*arrays()))


def sorted_too(x):
    return sg.function([x], sg.sort(x * 2))


def donated(x):
    return sg.function([x], x * 2, donate=[x])


def watched(x):
    return sg.function([x], x * 2, options=sg.Options(watch=True))


def verified(x):
    return sg.function([x], x * 2, options=sg.Options(verify=True))


def by_numpy(x):
    return sg.function([x], x * 2, options=sg.Options(backend="numpy"))


def of_nothing(x):
    return sg.function([x], sg.concat([x * 2, sg.constant(np.zeros(0))]) + x[:0].sum())


@pytest.mark.parametrize("made", [sorted_too, donated, watched, verified, by_numpy, of_nothing])
def test_what_cannot_be_written_down_is_planned(made):
    x = sg.placeholder("float64", ("n",), name="x")
    a = np.array([3.0, 1.0, 2.0])
    expected, f = again(lambda: made(x), a.copy())

    assert_same(expected, f(a.copy()))
    assert is_planned(f) or made is watched


def test_ops_of_the_users_own_are_not_known_by_their_names():
    @sg.composite
    def halved_here(x):
        return x / 2

    x = sg.placeholder("float64", ("n",), name="x")
    a = np.array([3.0, 1.0])
    expected, f = again(lambda: sg.function([x], halved_here(x) * 3), a)

    assert_same(expected, f(a))
    assert is_planned(f)
