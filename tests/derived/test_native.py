"""Every function, in every dtype it takes, gives as machine code what the evaluator gives, however arrays lie."""

import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from tests.derived.closeness import mismatch
from tests.derived.declared import FUNCTIONS_BY_NAME, calls, failures
from tests.derived.test_values import magnitude

pytestmark = pytest.mark.usefixtures("either_text")

SESSION = sg.Session(sg.Options(backend="llvm"))


@pytest.mark.parametrize("f", FUNCTIONS_BY_NAME.values(), ids=FUNCTIONS_BY_NAME)
def test_native_value_is_the_evaluators(f):
    assert not failures(
        f, ((call, lambda lie=lie, call=call: wrong(call, lie)) for call, lie in lying(calls(f)))
    )


def lying(calls):
    """Calls with how their arrays lie: each dtype begins with another way, and goes on with the next."""
    ways = {}
    for call in calls:
        ways.setdefault(
            call.dtype, itertools.cycle(LYING[len(ways) % len(LYING) :] + LYING[: len(ways) % len(LYING)])
        )
        yield call, next(ways[call.dtype])


def wrong(call, lie):
    expected = sg.evaluate(call.outputs(), call.feed())
    feed = {node: lie(x) for node, x in call.feed().items()}
    actual = SESSION.run(call.outputs(), feed)
    f = call.function
    elementwise = not f.is_macro and f.op.elementwise
    for a, b in zip(actual, expected, strict=True):
        if a.dtype != b.dtype:
            return f"the dtype is {a.dtype}, not {b.dtype}"
        found = mismatch(a, b, 4 * f.tolerance, 0.0 if elementwise else magnitude(b))
        if found:
            return found
    return None


def apart(x):
    found = np.zeros((*x.shape, 3), x.dtype)[..., 1]
    found[...] = x
    return found


def backwards(x):
    return np.flip(np.flip(x).copy()) if x.ndim else x


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    found = memory.view(x.dtype).reshape(x.shape)
    found[...] = x
    return found


def transposed(x):
    return x.T.copy().T


LYING = (np.copy, apart, backwards, unaligned, transposed)
