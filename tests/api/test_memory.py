"""What f.memory() says before the run, and what donate= gives up."""

import xml.dom.minidom

import numpy as np
import pytest

import symgraph as sg

x = sg.placeholder("float64", ("n",), name="x")
matrix = sg.placeholder("float32", ("n", "k"), name="matrix")


def two_values():
    """Two values of the size of the argument, one of which takes over the memory of the other."""
    return sg.function([x], sg.cumsum(sg.tanh(sg.cumsum(x))), name="two_values")


# memory()


@pytest.mark.parametrize("size", [0, 1, 8, 1000, 10**12])
def test_the_peak_follows_the_sizes(size):
    made = two_values().memory(n=size)

    assert made.peak == made.lower_bound == -(-8 * size // 64) * 64
    assert made.results == 8 * size


def test_arguments_say_the_same_as_sizes():
    f = sg.function([x, matrix], [sg.cumsum(sg.sort(x)), sg.cumsum(sg.sort(matrix, axis=0), axis=0)])
    by_size = f.memory(n=40, k=30)

    assert f.memory(np.zeros(40), np.zeros((40, 30), "float32")).peak == by_size.peak
    assert f.memory([0.0] * 40, np.zeros((40, 30), "float32")[:, ::-1]).peak == by_size.peak
    assert f.memory(n=np.int64(40), k=30).peak == by_size.peak


def test_nothing_runs():
    f = two_values()
    array = np.arange(5.0)
    f.memory(array)

    np.testing.assert_array_equal(np.arange(5.0), array)
    assert f.memory(n=10**15).peak == 8 * 10**15


def test_the_text_says_who_lives_where():
    walked = sg.placeholder("float64", ("n",), name="walked")  # of its own, so that its lines are these
    f = sg.function([walked], sg.cumsum(sg.tanh(sg.cumsum(walked))))
    text = str(f.memory(n=1000)).splitlines()

    assert text[0] == "peak 8,000 bytes above arguments, variables and results (8,000 bytes)"
    assert text[1] == "at least 8,000 bytes in this order of steps"
    assert text[2:5] == ["step 0: cumulative_sum", "step 1: kernel_0", "step 2: cumulative_sum"]
    assert text[5].split() == ["offset", "size", "steps"]
    assert text[6].startswith("     0  8000    0-1  cumulative_sum (test_memory.py:")
    assert text[-1] == "8000 bytes, of which 8000 are live at step 0"


def test_what_libraries_allocate_is_part_of_the_peak():
    made = sg.function([x], sg.cumsum(sg.sort(sg.tanh(x)))).memory(n=1000)

    assert made.elsewhere >= 8000
    assert made.peak == made.arena.size + made.elsewhere
    assert f"{made.elsewhere:,} bytes of the peak are allocated by libraries" in str(made)


def test_a_program_without_a_buffer_has_no_table():
    made = sg.function([x], sg.cumsum(x)).memory(n=10)

    assert made.peak == 0
    assert "offset" not in str(made)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_the_picture_is_xml(size):
    picture = xml.dom.minidom.parseString(two_values().memory(n=size).svg())

    assert picture.documentElement.tagName == "svg"
    assert len(picture.getElementsByTagName("rect")) == 2
    assert len(picture.getElementsByTagName("title")) == 2


def test_the_picture_of_nothing_is_xml():
    picture = xml.dom.minidom.parseString(sg.function([x], sg.cumsum(x)).memory(n=10).svg())

    assert not picture.getElementsByTagName("rect")


def test_known_sizes_need_no_argument():
    y = sg.placeholder("float64", (10, 8), name="y")
    f = sg.function([y], sg.cumsum(sg.tanh(sg.cumsum(y, axis=0)), axis=0))

    assert f.memory().peak == f.memory(np.zeros((10, 8))).peak == 640


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({}, r"the sizes of two_values\(x\) are n, and memory\(\) was given none"),
        ({"m": 3}, "are n, and .* was given m"),
        ({"n": 3, "m": 3}, "are n, and .* was given n, m"),
        ({"n": -1}, "the size n is -1; it must be 0 or more"),
        ({"n": 2.5}, r"the size n is 2\.5"),
        ({"n": "many"}, "the size n is 'many'"),
        ({"n": None}, "the size n is None"),
    ],
)
def test_sizes_that_are_wrong_are_named(sizes, named):
    with pytest.raises(sg.ArgumentError, match=named):
        two_values().memory(**sizes)


def test_arguments_that_do_not_fit_are_named():
    f = two_values()

    with pytest.raises(sg.ShapeError, match="its rank is 2, not 1"):
        f.memory(np.zeros((3, 2)))
    with pytest.raises(sg.DTypeError, match="x is f64"):
        f.memory(np.zeros(3, "complex128"))
    with pytest.raises(sg.ArgumentError, match="takes 1 arguments and was given 2"):
        f.memory(np.zeros(3), np.zeros(3))
    both = sg.function([x, matrix], [sg.sum(x), sg.sum(matrix)])
    with pytest.raises(sg.ArgumentError, match="was given no 'matrix'"):
        both.memory(np.zeros(3))
    with pytest.raises(sg.ShapeError, match="n is 3"):
        both.memory(np.zeros(3), np.zeros((4, 2), "float32"))


# What was seen: the sizes were left unread, and the storage was that of 3 elements.
def test_arguments_and_sizes_are_not_given_together():
    with pytest.raises(sg.ArgumentError):
        two_values().memory(np.zeros(3), n=7)


def test_a_call_goes_on_with_what_memory_planned():
    f = two_values()
    made = f.memory(n=50)
    f(np.ones(50))

    assert f.memory(np.ones(50)) is made


def test_donated_results_need_no_memory_of_their_own():
    f = sg.function([x], sg.tanh(sg.cumsum(sg.tanh(x))), donate=[x])

    assert f.memory(n=1000).peak <= 16000


# donate=


def doubled(**options):
    return sg.function([x], sg.tanh(x) * 2, donate=[x], **options)


def test_a_donated_array_becomes_the_result():
    array = np.arange(5.0)
    result = doubled()(array)

    assert np.shares_memory(array, result)
    np.testing.assert_allclose(np.tanh(np.arange(5.0)) * 2, result)


def test_without_donation_an_argument_is_kept():
    array = np.arange(5.0)
    result = sg.function([x], sg.tanh(x) * 2)(array)

    assert not np.shares_memory(array, result)
    np.testing.assert_array_equal(np.arange(5.0), array)


def frozen(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "given",
    [
        lambda: np.arange(10.0)[::2],
        lambda: np.arange(5.0)[::-1],
        lambda: frozen(np.arange(5.0)),
        lambda: np.broadcast_to(np.float64(3), (5,)),
        lambda: np.frombuffer(b"\0" * 40 + b"\0", "float64", 5),
        lambda: np.frombuffer(b"\0" * 41, np.uint8)[1:].view(np.float64),
    ],
    ids=["strided", "reversed", "read-only", "broadcast", "of bytes", "unaligned"],
)
def test_what_cannot_be_overwritten_is_left_alone(given):
    array = given()
    before = array.copy()
    result = doubled()(array)

    assert not np.shares_memory(array, result)
    np.testing.assert_array_equal(before, array)
    np.testing.assert_allclose(np.tanh(before) * 2, result)


@pytest.mark.parametrize(
    "given", [[1.0, 2.0, 3.0], (1, 2, 3), np.array([1, 2, 3]), np.array([1, 2, 3], "float32")]
)
def test_what_is_converted_first_is_given_up_as_a_copy(given):
    result = doubled()(given)

    np.testing.assert_allclose(np.tanh([1.0, 2.0, 3.0]) * 2, result)
    np.testing.assert_array_equal([1, 2, 3], given)
    assert result.flags.writeable


def test_a_part_of_an_array_is_given_up_and_the_rest_is_not():
    array = np.arange(10.0)
    result = doubled()(array[2:5])

    np.testing.assert_allclose(np.tanh([2.0, 3.0, 4.0]) * 2, result)
    np.testing.assert_array_equal([0, 1, 5, 6, 7, 8, 9], array[[0, 1, 5, 6, 7, 8, 9]])


def test_the_same_array_twice_is_left_alone():
    y = sg.placeholder("float64", ("n",), name="y")
    for donate in ([x, y], [x]):
        f = sg.function([x, y], [x * 2, y * 3, x + y], donate=donate)
        for other in (lambda a: a, lambda a: a[:], lambda a: a[::-1]):
            array = np.arange(4.0)
            results = f(array, other(array))

            np.testing.assert_array_equal(np.arange(4.0), array)
            np.testing.assert_array_equal(np.arange(4.0) * 2, results[0])
            np.testing.assert_array_equal(other(np.arange(4.0)) * 3, results[1])
            assert not any(np.shares_memory(array, each) for each in results)


def test_results_share_nothing_with_each_other():
    f = sg.function([x], [sg.tanh(x), sg.tanh(x), sg.tanh(x)[::-1], x * 2], donate=[x])
    array = np.arange(4.0)
    results = f(array)

    assert not any(np.shares_memory(a, b) for i, a in enumerate(results) for b in results[:i])
    np.testing.assert_allclose(np.tanh(np.arange(4.0))[::-1], results[2])
    np.testing.assert_array_equal(np.arange(4.0) * 2, results[3])


def test_an_input_that_is_also_a_result_is_copied():
    f = sg.function([x], [x, x * 2, x[::-1]], donate=[x])
    array = np.arange(4.0)
    results = f(array)

    for expected, result in zip(
        [np.arange(4.0), np.arange(4.0) * 2, np.arange(4.0)[::-1]], results, strict=True
    ):
        np.testing.assert_array_equal(expected, result)


def test_an_update_takes_over_what_is_given_up():
    f = sg.function([x], x.at[1].set(7.0), donate=[x])
    array = np.arange(4.0)
    result = f(array)

    np.testing.assert_array_equal([0, 7, 2, 3], result)
    assert np.shares_memory(array, result)


# What was seen: v.value is 9 everywhere. The variable's value lay in the caller's array, and changed with it.
def test_a_variable_never_lies_in_what_is_given_up():
    v = sg.variable(np.zeros(4), name="v")
    f = sg.function([x], None, updates={v: sg.tanh(x)}, donate=[x])
    batch = np.ones(4)
    f(batch)
    batch[:] = 9

    np.testing.assert_allclose(v.value, np.tanh(np.ones(4)))


def test_a_donated_copy_of_a_variable():
    v = sg.variable(np.ones(4), name="v")
    f = sg.function([x], [x * 2 + v], updates={v: v + x}, donate=[x])
    for _ in range(3):
        f(v.value)

    np.testing.assert_array_equal(np.full(4, 8.0), v.value)


def test_calls_of_many_sizes_and_none():
    f = doubled()
    for size in (0, 1, 5, 5, 1000, 0):
        np.testing.assert_allclose(np.full(size, np.tanh(0.5) * 2), f(np.full(size, 0.5)))


def test_a_first_nan_that_is_watched_for():
    f = doubled(options=sg.Options(watch=True))
    array = np.arange(4.0)

    np.testing.assert_allclose(np.tanh(np.arange(4.0)) * 2, f(array))


def test_what_is_donated_is_an_input_without_a_default():
    y = sg.placeholder("float64", ("n",), name="y")
    v = sg.variable(np.zeros(4), name="v")

    for wrong in ([y], [v], [x + 1], ["x"], [None], [3]):
        with pytest.raises(sg.GraphError, match="is donated, and is not among the inputs"):
            sg.function([x], sg.tanh(x), donate=wrong)
    with pytest.raises(sg.GraphError, match="the input 'x' is donated, and has a default"):
        sg.function([x], sg.tanh(x), defaults={x: [1.0]}, donate=[x])


# What was seen: "len() and iteration need a size known before the call", which is not what was wrong.
def test_what_is_donated_is_a_list():
    with pytest.raises(sg.ArgumentError, match=r"^donate is a list"):
        sg.function([x], sg.tanh(x), donate=x)


def test_an_input_donated_twice_is_donated():
    array = np.arange(3.0)

    assert np.shares_memory(array, sg.function([x], x * 2, donate=[x, x])(array))


def test_a_node_that_is_fed_can_be_donated():
    y = sg.tanh(x)
    array = np.arange(3.0)
    result = sg.function([y], y * 2, donate=[y])(array)

    assert np.shares_memory(array, result)
    np.testing.assert_array_equal(np.arange(3.0) * 2, result)
