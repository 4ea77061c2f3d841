"""Every function, in every dtype it takes, gives what its reference gives, in the type that was inferred."""

import ml_dtypes
import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import ShapeError
from symgraph.graph.binding import evaluate_dim, solve
from symgraph.graph.dims import symbols
from symgraph.graph.evaluate import bind_sizes
from tests.derived.closeness import mismatch
from tests.derived.declared import FUNCTIONS_BY_NAME, WIDE, calls, failures, reference_of


@pytest.fixture(scope="module", params=FUNCTIONS_BY_NAME.values(), ids=FUNCTIONS_BY_NAME)
def f(request):
    return Values(request.param)


class Values:
    """A function and its calls, and what each gives, which all tests look at."""

    def __init__(self, function):
        self.function = function
        self.calls, self.symbolic = list(calls(function)), list(calls(function, symbolic=True))
        self._found = {}

    def of(self, call):
        """The results as nodes, and as arrays."""
        if id(call) not in self._found:  # the calls stay, and so do their numbers
            nodes = call.outputs()
            self._found[id(call)] = nodes, sg.evaluate(nodes, call.feed())
        return self._found[id(call)]

    def failures(self, check, some):
        return failures(
            self.function, ((call, lambda call=call: check(call, *self.of(call))) for call in some)
        )


def test_value_is_the_references(f):
    if reference_of(f.function) is None:
        pytest.skip(f"{f.function.name} has no reference")

    assert not f.failures(wrong_value, f.calls)


def wrong_value(call, nodes, actual):
    direct = attempt(call)
    f = call.function
    if direct is not None and is_numpys(f) and call.dtype != "bfloat16":
        kinds = [x.dtype for x in actual], [x.dtype for x in direct]
        if kinds[0] != kinds[1]:
            return f"the dtypes are {list(map(str, kinds[0]))}, and NumPy's {list(map(str, kinds[1]))}"
    wrong = disagreement(f, actual, direct) if direct is not None else "no reference"
    if wrong and call.dtype in WIDE:
        return disagreement(f, actual, call.expected(wide=True))
    return wrong


def attempt(call):
    """What the reference gives; None where it does not take the dtype but takes a wider one."""
    try:
        return call.expected()
    except (TypeError, np.exceptions.DTypePromotionError):
        if call.dtype not in WIDE:
            raise
        return None


def disagreement(f, actual, expected):
    if len(actual) != len(expected):
        return f"{len(actual)} results, not {len(expected)}"
    elementwise = not f.is_macro and f.op.elementwise
    for a, b in zip(actual, expected, strict=True):
        if (a.dtype.kind in "biu") != (b.dtype.kind in "biu"):
            return f"the dtype is {a.dtype}, not {b.dtype}"
        found = mismatch(a, b, 4 * f.tolerance, 0.0 if elementwise else magnitude(b))
        if found:
            return found
    return None


def magnitude(x):
    """The scale of a result of which each element may be a sum: 1, or its largest element."""
    finite = np.abs(x[np.isfinite(x)]) if x.dtype.kind in "fc" else np.abs(x.astype("float64"))
    return max(1.0, float(np.max(finite, initial=0)))


def is_numpys(f):
    """Whether the reference is a function of NumPy's, whose dtypes are then the rule."""
    return (isinstance(f.reference, str) and f.reference.startswith("numpy.")) or isinstance(
        f.reference, np.ufunc
    )


def test_type_is_the_results(f):
    assert not f.failures(wrong_type, f.calls)


def test_symbolic_type_is_the_results(f):
    fixed = {str(call) + call.dtype: call for call in f.calls}

    def check(call, nodes, arrays):
        _, expected = f.of(fixed[str(call) + call.dtype])
        return wrong_type(call, nodes, arrays) or changed_value(arrays, expected)

    assert not f.failures(check, f.symbolic)


def wrong_type(call, nodes, arrays):
    sizes = bind_sizes(call.nodes, call.arrays)
    for node, array in zip(nodes, arrays, strict=True):
        if node.dtype != array.dtype:
            return f"the result is {array.dtype}{list(array.shape)}, and {node.type} was inferred"
        if len(node.shape) != array.ndim:
            return f"the result has shape {array.shape}, and {node.type} was inferred"
        decided_by_data = [
            (dim, size)
            for dim, size in zip(node.shape, array.shape, strict=True)
            if not isinstance(dim, int) and any(s.source is not None for s in symbols(dim))
        ]
        try:
            solve(decided_by_data, sizes)
        except ShapeError as error:
            return str(error)
        if tuple(evaluate_dim(dim, sizes) for dim in node.shape) != array.shape:
            return f"the result has shape {array.shape}, and {node.type} was inferred, where {sizes}"
    return None


def changed_value(symbolic, fixed):
    """Symbolic sizes change no bit of the result."""
    for a, b in zip(symbolic, fixed, strict=True):
        if found := mismatch(a, b, 0.0):
            return f"with symbolic sizes: {found}"
    return None


PYTHON = (True, 2, 1.5, 1j)
NUMPYS = [row for row in sg.graph.types.DTYPES if row.numpy != ml_dtypes.bfloat16]
UFUNCS = {
    name: f for name, f in FUNCTIONS_BY_NAME.items() if not f.is_macro and isinstance(f.op.numpy, np.ufunc)
}
BINARY = {name: f for name, f in UFUNCS.items() if f.op.numpy.nin == 2}


@pytest.mark.parametrize("f", BINARY.values(), ids=BINARY)
def test_promotion_is_numpys(f):
    operands = [sg.placeholder(row, (2,), name=f"{row.name}_") for row in NUMPYS]
    pairs = [(x, y) for x in operands for y in operands]
    pairs += [pair for x in operands for y in PYTHON for pair in ((x, y), (y, x))]

    assert {} == {
        pair: found for pair in pairs if (found := (promoted(f, pair), numpys(f, pair)))[0] != found[1]
    }


@pytest.mark.parametrize("f", UFUNCS.values(), ids=UFUNCS)
def test_dtypes_taken_are_those_declared(f):
    taken = {row.name for row in sg.graph.types.DTYPES if promoted(f, like(f, row))}
    unpromoted = {name for name in taken if f.op.infer is not None and takes_itself(f, name)}

    assert set(f.dtypes) <= taken
    assert unpromoted - set(f.dtypes) <= {"bool"}


def like(f, row):
    return tuple(sg.placeholder(row, (2,), name=f"x{i}") for i in range(f.op.numpy.nin))


def takes_itself(f, name):
    node = f(*like(f, sg.graph.types.BY_NAME[name]))
    return all(x.row.name == name for x in node.inputs)


def promoted(f, operands):
    """The name of the result's dtype; None where there is none (``np.dtype("float64") == None`` is true)."""
    try:
        return f(*operands).dtype.name
    except sg.DTypeError:
        return None


def numpys(f, operands):
    values = [np.ones(2, x.dtype) if isinstance(x, sg.Node) else x for x in operands]
    try:
        with np.errstate(all="ignore"):
            return f.op.numpy(*values).dtype.name
    except TypeError:
        return None
