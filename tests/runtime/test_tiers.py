"""What is compiled soonest and what runs fastest: other texts, the same bits."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.llvm_matmul import print_matmul
from symgraph.graph.types import dtype as as_dtype
from symgraph.runtime.code import Code, code
from symgraph.runtime.cpu import host


@pytest.fixture
def improve(monkeypatch):
    """Better code when it is asked for here, and not before; nothing is known of what was compiled in other tests."""
    code().settle()
    monkeypatch.setenv("SYMGRAPH_CACHE", "")
    code.cache_clear()
    improve = Code.improve
    monkeypatch.setattr(Code, "improve", lambda self, functions: None)
    yield lambda functions: improve(code(), functions)
    code().settle()
    code.cache_clear()


def assert_same_bits(improve, outputs, inputs, calls):
    """With quick code, and with the best."""
    f = sg.function(inputs, outputs, options=sg.Options(backend="llvm", threads=1))
    quick = [[x.copy() for x in f(*args)] for args in calls]
    functions = list(f._program.executor.compiled.functions())
    before = [each.address for each in functions]
    improve(functions)
    code().settle()
    assert functions and all(each.address != old for each, old in zip(functions, before, strict=True))
    for args, first in zip(calls, quick, strict=True):
        for a, b in zip(first, f(*args), strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "complex64"])
def test_kernels(improve, dtype):
    x, y = sg.placeholder(dtype, ("n",), name="x"), sg.placeholder(dtype, ("n",), name="y")
    outputs = [x * y - x + 3, sg.where(x != y, x, y * y), x + y == x]
    if dtype.startswith("float"):
        outputs += [sg.tanh(x) / (2 + sg.exp(-x * x)), sg.sin(x) * sg.maximum(x, y) / 3]
    rng = np.random.default_rng(0)
    calls = []
    for n in (1, 15, 16, 17, 31, 33, 64, 1000):
        a, b = ((8 * rng.normal(size=2 * n)).astype(dtype) for _ in range(2))
        calls += [(a[:n], b[:n]), (a[::2], b[:n]), (a[n - 1 :: -1], b[::2])]

    assert_same_bits(improve, outputs, [x, y], calls)


def test_rows_with_columns_and_transposed(improve):
    x, row = sg.placeholder("float32", ("n", "m"), name="x"), sg.placeholder("float32", ("m",), name="row")
    rng = np.random.default_rng(1)
    calls = []
    for n, m in ((1, 1), (3, 17), (40, 33), (65, 64)):
        a = rng.normal(size=(n, m)).astype("float32")
        calls += [(a, a[0].copy()), (np.asfortranarray(a), a[0].copy())]

    assert_same_bits(improve, [sg.exp(x) * row, (x + row).T, x / row], [x, row], calls)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products(improve, dtype):
    a, b = sg.placeholder(dtype, ("m", "k"), name="a"), sg.placeholder(dtype, ("k", "n"), name="b")
    rng = np.random.default_rng(2)
    calls = []
    sizes = [
        (1, 70, 130),
        (1, 600, 64),
        (5, 9, 1),
        (6, 1, 64),
        (7, 515, 65),
        (24, 33, 16),
        (25, 40, 128),
        (97, 513, 200),
    ]
    for m, k, n in sizes:
        x, y = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        calls += [(x, y), (x, np.asfortranarray(y)), (np.asfortranarray(x), y)]

    assert_same_bits(improve, [a @ b], [a, b], calls)


@pytest.mark.parametrize("many", [False, True])
def test_what_is_compiled_soonest_is_short(many):
    quick = print_matmul(as_dtype("float32"), host(), many=many, quick=True)

    assert quick.name == quick.fastest.name
    assert 2 * len(quick.text) < len(quick.fastest.text)
