"""A program that another process ran copies its weights as that one did, and reads no copy that is outdated."""

import marshal

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.runtime import elf, panels, recipes
from symgraph.runtime.code import code
from symgraph.runtime.panels import Lying
from tests.api.recalling import again, assert_same, is_planned
from tests.runtime.test_panels import made

__all__ = ["made"]

pytestmark = [
    pytest.mark.skipif(not elf.is_known(), reason="programs are recalled where code loads without LLVM"),
    pytest.mark.usefixtures("place"),
]

VALUES = np.random.default_rng(0).normal(size=(30, 70)).astype("float32")
GIVEN = np.random.default_rng(1).normal(size=(9, 30)).astype("float32")


def served(w):
    x = sg.placeholder("float32", ("m", 30), name="x")
    return sg.function([x], sg.relu(x @ w + 1), options=sg.Options(threads=1))


def right(values, a=GIVEN):
    return np.maximum(a @ values + 1, 0)


@pytest.mark.parametrize("calls", [1, 6])
@pytest.mark.parametrize("of", [sg.variable, sg.constant])
def test_a_weight_is_copied(made, of, calls):
    w = of(VALUES)
    expected, f = again(lambda: served(w), GIVEN, calls=calls)
    del made[:]
    panels._KNOWN.clear()
    for _ in range(6):
        assert_same(expected, f(GIVEN))

    assert not is_planned(f)
    assert len(made) == 1


def test_it_changes(made):
    w = sg.variable(VALUES, name="w")
    _, f = again(lambda: served(w), GIVEN)
    for n in range(4):
        w.value = VALUES * n
        for _ in range(12):
            np.testing.assert_allclose(f(GIVEN), right(VALUES * n), rtol=1e-4, atol=1e-4)

    assert not is_planned(f)


def test_it_changes_often():
    """Then the program is planned."""
    w = sg.variable(VALUES, name="w")
    _, f = again(lambda: served(w), GIVEN)
    for n in range(20):
        w.value = VALUES * n
        np.testing.assert_allclose(f(GIVEN), right(VALUES * n), rtol=1e-4, atol=1e-4)

    assert is_planned(f)


def test_in_a_session():
    w = sg.variable(VALUES, name="w")
    x = sg.placeholder("float32", ("m", 30), name="x")
    y = sg.relu(x @ w + 1)

    def session():
        own = sg.Session(sg.Options(threads=1))
        return lambda a: own.run(y, {x: a})

    expected, run = again(session, GIVEN)
    for _ in range(5):
        assert_same(expected, run(GIVEN))
    w.value = VALUES * 2  # a session has its own
    assert_same(expected, run(GIVEN))


BAD = {
    "beyond": {"rows": 10_000},
    "before": {"begin": -4},
    "backwards": {"down": -280},
    "nothing": {"columns": 0},
    "too few": {"bytes": 100},
}


@pytest.mark.parametrize("how", BAD)
def test_places_that_are_none_are_not_taken(how, place):
    w = sg.variable(VALUES, name="w")
    f = served(w)
    f(GIVEN)
    code().settle()
    shelf = f._program.executor._shelf
    name = shelf._name([GIVEN.shape, VALUES.shape])
    *parts, packed, units = marshal.loads(shelf._disk.get(name))
    ((function, slot, lying),) = packed
    other = Lying(*lying)
    for field, value in BAD[how].items():
        setattr(other, field, value)
    spoiled = [(function, slot, other.words)]
    assert recipes.read(marshal.dumps((*parts, packed, units)), []) is not None

    assert recipes.read(marshal.dumps((*parts, spoiled, units)), []) is None
    assert recipes.read(marshal.dumps((*parts, [(function, 7, lying)], units)), []) is None
