"""NumPy's functions on nodes take their arguments where NumPy has them."""

import numpy as np
import pytest

import symgraph as sg

VALUES = np.array([[3.0, 1.0, 0.5], [2.0, 5.0, 4.0]])
CALLS = {
    "argsort": lambda x: np.argsort(x, 1, "stable"),  # the third is the kind, not the direction
    "sort": lambda x: np.sort(x, 1, "quicksort"),
    "nan_to_num": lambda x: np.nan_to_num(x / 0 * 0, True, 7.0),
    "std": lambda x: np.std(x, 0, None, None, 1),
    "sum": lambda x: np.sum(x, 0, None, None, True),
    "linspace": lambda x: np.linspace(x, x + 1, 3, False),
    "searchsorted": lambda x: np.searchsorted(a=np.array([1.0, 2.0]), v=x),
    "reshape": lambda x: np.reshape(x, (3, 2), order="C"),
    "amax": lambda x: np.amax(x, 0),
    "concatenate": lambda x: np.concatenate([x, x], 1),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, VALUES, optimize=True),
    "linalg.trace": lambda x: np.linalg.trace(x[None], offset=1),
    "linalg.diagonal": lambda x: np.linalg.diagonal(x[None], offset=1),
    "linalg.outer": lambda x: np.linalg.outer(x[0], x[1]),
    "add": lambda x: np.add(x, x, dtype="float64", casting="same_kind"),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name):
    x = sg.placeholder("float64", (2, 3), name="x")
    with np.errstate(all="ignore"):
        expected = CALLS[name](VALUES)
        found = sg.evaluate(CALLS[name](x), {x: VALUES})

    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.average(x, 1, None, True), "np.average of a node takes no returned="),
        (lambda x: np.sum(x, 0, None, np.zeros(3)), "np.sum of a node takes no out="),
        (lambda x: np.add(x, x, out=np.zeros((2, 3))), "np.add of a node takes no out="),
        (lambda x: np.ravel(x, "F"), "np.ravel of a node takes no order="),
        (lambda x: np.add.at(x, 0, 1.0), "np.add.at takes no nodes; use x.at"),
        (lambda x: np.linalg.outer(x, x), "takes vectors, not"),
        (lambda x: np.linalg.tensorinv(x), "np.linalg.tensorinv takes no nodes"),
        (lambda x: np.add(x, x, dtype="int64"), "float64 is not computed with in int64"),
    ],
)
def test_refusal(call, message):
    with pytest.raises(sg.SymgraphError, match=message.replace(".", r"\.")):
        call(sg.placeholder("float64", (2, 3), name="x"))


def test_a_sum_in_a_wider_dtype_does_not_overflow():
    x = sg.placeholder("int8", (1,), name="x")

    assert sg.evaluate(np.add(x, x, dtype="int64"), {x: np.array([100], "int8")}) == 200


def test_what_is_known_before_a_call():
    x = sg.placeholder("float64", ("n", 3), name="x")

    assert (np.ndim(x), np.size(x, 1), np.shape(x)) == (2, 3, x.shape)
    assert np.copy(x) is x
