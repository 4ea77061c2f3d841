"""The text for machines that this one is not: narrower vectors, without masks, without fused operations."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.graph.evaluate import bind_sizes
from symgraph.runtime import code as code_of_this_process
from symgraph.runtime import native, nests
from symgraph.runtime.cpu import assembly, host
from tests.codegen.test_llvm_kernels import ONE, agree, rows_of
from tests.codegen.test_llvm_streams import kernel_of

NARROW = {
    "32 bytes": {"bytes": 32, "masks": False},
    "16 bytes": {"bytes": 16, "masks": False},
    "16 bytes, twice rounded": {"bytes": 16, "masks": False, "fma": False},
    "64 bytes, masks": {"bytes": 64, "masks": True},
}


@pytest.fixture(params=NARROW, ids=NARROW)
def machine(request, monkeypatch):
    """As if the processor were another: it runs the code of narrower ones too."""
    if NARROW[request.param]["bytes"] > host().bytes:
        pytest.skip("this processor has no such vectors")
    made = replace(host(), **NARROW[request.param])
    monkeypatch.setattr(native, "host", lambda: made)
    monkeypatch.setattr(code_of_this_process, "host", lambda: made)
    return made


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 130, 1), (0, 3, 2), (65, 1, 16)])
@pytest.mark.parametrize("name", ONE)
def test_known_programs(machine, name, shape):
    for dtype in ("float32", "float64"):
        x = sg.placeholder(dtype, ("n", "m", "k"), name="x")
        compiled = sg.function([x], ONE[name](x), options=sg.Options(backend="llvm"))
        array = rows_of(shape, dtype)
        try:
            expected = sg.evaluate(ONE[name](x), {x: array})
        except sg.SymgraphError:
            continue
        agree(compiled(array), expected, np.dtype(dtype).itemsize, f"{machine}")


def test_sums_have_another_text_first_only_where_it_is_compiled_sooner(machine):
    xs, made = kernel_of(lambda x: sg.sum(sg.exp(x), axis=1), ("n", "m"))
    x = np.zeros((5, 40), "float32")
    first = made.printed_for([x, np.zeros(5, "float32")], bind_sizes(xs, [x]))

    assert machine.masks == (first.slow is not None)


def test_what_is_compiled_soonest_does_without_what_is_only_quicker(machine):
    """Products instead of quotients, what the next row reads, several vectors of rows that lie side by side."""
    xs, made = kernel_of(lambda x: sg.softmax(x, axis=1), ("n", "m"))
    x = np.zeros((50, 400), "float32")
    first = made.printed_for([x, np.zeros_like(x)], bind_sizes(xs, [x]))
    if first.slow is None:
        assert not machine.masks
        return

    assert "prefetch" not in first.text and "prefetch" in first.fastest.text

    xs, made = kernel_of(lambda x, y: x / y, ("n",), ())
    first = made.printed_for([x[0], x[0, 0, ...], x[1]], bind_sizes(xs, [x[0], x[0, 0, ...]]))

    assert "rare" not in first.text and "rare" in first.fastest.text

    xs, made = kernel_of(lambda x: sg.sum(x, axis=0), ("n", "m"))
    first = made.printed_for([x, np.zeros(400, "float32")], bind_sizes(xs, [x]))
    lanes = machine.bytes // 4

    assert f"<{lanes} x float>" in first.text and f"<{2 * lanes} x float>" not in first.text
    assert f"<{2 * lanes} x float>" in first.fastest.text or f"<{4 * lanes} x float>" in first.fastest.text


def test_large_results_and_squares(machine, monkeypatch):
    """As if every result were too large for the caches, wherever it lies."""
    monkeypatch.setattr(nests, "streams", lambda *_: True)
    x = sg.placeholder("float32", ("n", "m"), name="x")
    f = sg.function([x], (x.T * 2, x + 1, x > 3), options=sg.Options(backend="llvm"))
    for shape in ((37, 53), (1, 100), (100, 1), (64, 64)):
        array = np.arange(shape[0] * shape[1], dtype="float32").reshape(shape)
        for found, expected in zip(f(array), (array.T * 2, array + 1, array > 3), strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=f"{machine}")


def test_a_loop_of_arithmetic_is_vectors_and_calls_nothing():
    x, y = (sg.placeholder("float32", ("n",), name=name) for name in "xy")
    f = sg.function([x, y], sg.tanh(x * 2.5 + y), options=sg.Options(backend="llvm"))
    text = f.source("llvm")
    lanes = host().bytes // 4 * (2 if host().registers == 32 else 1)

    assert f"fmul <{lanes} x float>" in text
    assert f"call <{lanes} x float> @llvm.fma.v{lanes}f32" in text or not host().fma
    assert "alloca" not in text
    assert all("llvm." in line for line in text.splitlines() if "call" in line), "it calls nothing"
    if host().bytes == 64:
        code = assembly(text)
        assert "zmm" in code
        assert "call" not in code.partition(".Lfunc_end")[0]
    assert f.source("asm").count("\n") > 20
