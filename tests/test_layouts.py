"""Arrays of every layout give what their copies give, and are never written."""

import numpy as np
import pytest

import symgraph as sg

BASE = np.arange(1.0, 25.0).reshape(4, 6)


def unaligned(array):
    """The same array one byte off any boundary."""
    room = np.zeros(array.nbytes + 1, "uint8")
    moved = room[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def read_only(array):
    kept = array.copy()
    kept.setflags(write=False)
    return kept


LAYOUTS = {
    "strided": BASE[::2, ::3],
    "reversed": BASE[::-1, ::-1],
    "transposed": BASE.T,
    "fortran": np.asfortranarray(BASE),
    "one row of zero stride": np.broadcast_to(BASE[0], (4, 6)),
    "one number of zero stride": np.broadcast_to(np.float64(3.0), (4, 6)),
    "read-only": read_only(BASE),
    "unaligned": unaligned(BASE),
    "other byte order": BASE.astype(BASE.dtype.newbyteorder()),
    "empty and strided": BASE[4:, ::2],
    "a window": np.lib.stride_tricks.sliding_window_view(np.arange(1.0, 10.0), 4),
}


@pytest.fixture(scope="module")
def program():
    x = sg.placeholder("float64", ("n", "m"), name="x")
    w = sg.variable(0.0, name="w")
    loss = (sg.softmax(x, axis=1) @ x.T).sum() + sg.sort(x, axis=0)[:1].sum() + sg.cumsum(x, axis=1).sum()
    outputs = [loss, sg.grad(loss, x), x[1:], x.T, x.at[:1].multiply(2.0), sg.logsumexp(x, axis=1), x]
    return sg.function([x], outputs, updates={w: loss})


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gives_what_its_copy_gives(program, name):
    array = LAYOUTS[name]
    before = array.tobytes()
    expected = program(np.array(array, dtype="float64", order="C"))
    results = program(array)

    for a, b in zip(expected, results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
        assert not np.shares_memory(array, b)
    assert before == array.tobytes()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_as_a_first_value_is_copied(name):
    w = sg.variable(LAYOUTS[name], name="w")

    np.testing.assert_array_equal(w.value, LAYOUTS[name])
    assert w.value.flags.c_contiguous
    assert not np.shares_memory(w._array, LAYOUTS[name])


def test_the_same_array_for_two_inputs():
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    w = sg.variable(np.zeros(3), name="w")
    f = sg.function([x, y], [x + y, x, y], updates={w: x - y + 1})
    array = np.array([1.0, 2.0, 3.0])
    total, a, b = f(array, array)
    a[0] = 9

    assert [2.0, 4.0, 6.0] == total.tolist()
    assert [1.0, 2.0, 3.0] == b.tolist() == array.tolist()
    assert [1.0, 1.0, 1.0] == w.value.tolist()
