"""Every declaration is documented, its example runs, and no function that was promised is missing."""

import doctest
import sys

import numpy as np
import pytest

import symgraph as sg
from tests.derived.declared import FUNCTIONS_BY_NAME, reference_of

EVERY = pytest.mark.parametrize("f", FUNCTIONS_BY_NAME.values(), ids=FUNCTIONS_BY_NAME)
PUBLIC = {name: getattr(sg, name) for name in sg.__all__}
DOCUMENTED = {
    **FUNCTIONS_BY_NAME,
    **{name: value for name, value in PUBLIC.items() if callable(value) and value.__doc__},
}

ARRAY_API = {
    "creation": """arange asarray empty empty_like eye full full_like linspace meshgrid ones ones_like tril triu zeros
        zeros_like""",
    "elementwise": """abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert
        bitwise_or bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor
        floor_divide greater greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2 log10
        logaddexp logical_and logical_not logical_or logical_xor maximum minimum multiply negative nextafter not_equal
        positive pow real reciprocal remainder round sign signbit sin sinh square sqrt subtract tan tanh trunc""",
    "indexing": "take take_along_axis",
    "linear algebra": "matmul matrix_transpose tensordot vecdot",
    "manipulation": """astype broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape
        roll squeeze stack tile unstack""",
    "searching": "argmax argmin count_nonzero nonzero searchsorted where",
    "sets": "unique_all unique_counts unique_inverse unique_values",
    "sorting": "argsort sort",
    "statistics": "cumulative_prod cumulative_sum max mean min prod std sum var",
    "utility": "all any diff",
}
"""The functions of the standard 2024.12 that make arrays of arrays."""

OTHERS = {
    "NumPy's": """einsum where clip pad roll flip tile repeat stack split diff cumsum cumprod logaddexp var std median
        percentile histogram searchsorted take_along_axis scatter_add scatter_set scatter_min scatter_max one_hot tri
        tril triu diagonal trace outer kron meshgrid""",
    "special": """erf erfc erfinv gammaln digamma lbeta betainc gammainc i0 i1 ndtr log_ndtr sigmoid log_sigmoid
        softplus expm1 log1p sinc xlogy xlog1py""",
    "activations": """relu leaky_relu elu selu gelu silu mish softmax log_softmax logsumexp hard_sigmoid hard_swish
        softsign""",
    "losses": "cross_entropy binary_cross_entropy huber",
    "gradients": "stop_gradient custom_gradient",
    "loops and branches": "cond switch while_loop fori_loop scan map vmap",
}

UNTRIED = {"custom_gradient", "cond", "fori_loop", "map", "scan", "switch", "while_loop"}
"""Functions of functions: nothing to draw; their own tests try them."""


@pytest.mark.parametrize(
    "name", sorted({name for names in (*ARRAY_API.values(), *OTHERS.values()) for name in names.split()})
)
def test_function_exists(name):
    assert callable(getattr(sg, name))


@EVERY
def test_declaration_is_complete(f):
    assert f.summary.endswith((".", ":", "!")) or "." in f.summary, "the first line is no sentence"
    assert ">>>" in f.__doc__, "there is no example"
    assert f.cases or f.name in UNTRIED, "there are no cases"


@EVERY
def test_reference_exists(f):
    if isinstance(f.reference, str) and f.reference != f"numpy.{f.name}":
        assert reference_of(f) is not None, f"there is no {f.reference}"


@pytest.mark.parametrize("name", DOCUMENTED)
def test_example(name):
    subject = DOCUMENTED[name]
    home = sys.modules.get(getattr(subject, "__module__", None))
    names = {**vars(home or sg), **PUBLIC, **FUNCTIONS_BY_NAME, "np": np, "sg": sg}
    test = doctest.DocTestParser().get_doctest(subject.__doc__, names, name, None, None)
    report = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)

    assert not report, "".join(report)
