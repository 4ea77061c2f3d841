"""Every function gives in a library for C what the evaluator gives, for sizes that are known and that have names; what
no library has is refused by the names of these ops."""

import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.graph.walk import toposort
from tests.aot.ahead import Ahead
from tests.derived.closeness import mismatch
from tests.derived.declared import FUNCTIONS_BY_NAME, calls, failures
from tests.derived.test_values import magnitude

GROUPS = 8
OF_PYTHON = frozenset(
    [
        "argmax",
        "argmin",
        "argsort",
        "bincount",
        "einsum",
        "matmul",
        "prod",
        "searchsorted",
        "sort",
        "sum",
        "sum_to",
        "tensordot",
        "unique_all",
        "nonzero",
        "update",
        "adjugate",
        "eig",
        "eigh",
        "eigvals",
        "eigvalsh",
        "expm",
        "expm_frechet",
        "lstsq",
        "lu",
        "pinv",
        "qr",
        "svd",
        "svdvals",
        "fftn",
        "ifftn",
        "irfftn",
        "rfftn",
    ]
)
"""Ops of which some or all uses are calls of Python's libraries."""
OF_PYTHON_IF_COMPLEX = frozenset(["cholesky", "det", "inv", "slogdet", "solve", "solve_triangular"])
"""Ops of which those on complex matrices are."""


@pytest.mark.parametrize("group", range(GROUPS))
@pytest.mark.parametrize("symbolic", [False, True], ids=["known", "named"])
def test_values_in_a_library_are_the_evaluators(group, symbolic):
    lines = {
        f.name: failures(f, ((call, lambda call=call: wrong(call)) for call in chosen(f, symbolic)))
        for f in list(FUNCTIONS_BY_NAME.values())[group::GROUPS]
    }
    assert not {name: text for name, text in lines.items() if text}


DTYPES = ("bool", "int64", "float32", "complex64")


def chosen(f, symbolic):
    """The first cases in one dtype; where sizes have names, one case in several dtypes."""
    found = {}
    for call in calls(f, DTYPES if symbolic else f.dtypes[:1], symbolic=symbolic):
        found.setdefault(call.dtype if symbolic else str(call.case), call)
    return list(found.values())[: None if symbolic else 3]


def wrong(call):
    outputs = call.outputs()
    feed = call.feed()
    try:
        f = sg.function(list(feed), outputs)
    except sg.GraphError:  # of some arguments only the type counts
        read = set(toposort(outputs))
        feed = {x: array for x, array in feed.items() if x in read}
        f = sg.function(list(feed), outputs)
    try:
        made = Ahead(f)
    except sg.DeviceError as error:
        said = str(error)
        assert "no library made ahead of time" in said
        name = said.removeprefix("the size of what ").split()[0]
        is_complex = any(x.row.is_complex for x in toposort(outputs) if isinstance(x.type, sg.TensorType))
        of_python = OF_PYTHON | OF_PYTHON_IF_COMPLEX if is_complex else OF_PYTHON
        return None if name in of_python or "machine code for pow" in said else said
    status, actual = made(*feed.values())
    if status:
        return f"refused with {status}"
    elementwise = not call.function.is_macro and call.function.op.elementwise
    for a, b in zip(actual, sg.evaluate(outputs, call.feed()), strict=True):
        if a.dtype != b.dtype:
            return f"the dtype is {a.dtype}, not {b.dtype}"
        found = mismatch(a, b, 4 * call.function.tolerance, 0.0 if elementwise else magnitude(b))
        if found:
            return found
    return None
