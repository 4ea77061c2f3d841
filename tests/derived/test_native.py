"""Every function, in every dtype it takes, gives as machine code what the evaluator gives, however arrays lie."""

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
    assert not failures(f, ((call, lambda lie=lie, call=call: wrong(call, lie)) for call, lie in lying(f)))


def lying(f):
    """Calls with how their arrays lie: every dtype meets all ways, each of which begins with another. Where there are
    fewer cases, the largest comes again."""
    ways = (*LYING, repeated) if is_elementwise(f) else LYING
    by_dtype = {}
    for call in calls(f):
        by_dtype.setdefault(call.dtype, []).append(call)
    for first, own in enumerate(by_dtype.values()):
        largest = max(own, key=lambda call: sum(x.size for x in call.arrays))
        missing = [largest] * (len(ways) - len(own))
        for n, call in enumerate([*own, *missing], first):
            yield call, ways[n % len(ways)]


def is_elementwise(f):
    return not f.is_macro and f.op.elementwise


def wrong(call, lie):
    feed = {node: lie(x) for node, x in call.feed().items()}
    expected = sg.evaluate(call.outputs(), {node: x.copy() for node, x in feed.items()})
    actual = SESSION.run(call.outputs(), feed)
    f = call.function
    for a, b in zip(actual, expected, strict=True):
        if a.dtype != b.dtype:
            return f"the dtype is {a.dtype}, not {b.dtype}"
        found = mismatch(a, b, 4 * f.tolerance, 0.0 if is_elementwise(f) else magnitude(b))
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


def repeated(x):
    """The first number of a row, again and again."""
    return np.broadcast_to(x[..., :1], x.shape) if x.size and x.ndim else x


LYING = (np.copy, apart, backwards, unaligned, transposed)
