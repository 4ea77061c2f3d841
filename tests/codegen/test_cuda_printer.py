"""Kernels as CUDA C: the text of some, what NVRTC makes of it, and that it has the bits of machine code."""

from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.runtime import emulator, nvrtc
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.cuda_kernel import CudaStep
from symgraph.runtime.device import text_of
from symgraph.runtime.simulator import Simulator

TEXTS = Path(__file__).parent / "cuda"

pytestmark = pytest.mark.cuda_text
simulated = pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
compiled = pytest.mark.skipif(not nvrtc.available(), reason="there is no NVRTC")

x = sg.placeholder(
    "float32", ("rows", "columns"), name="x"
)  # no other test has it: nodes keep their first line
scale = sg.placeholder("float32", ("columns",), name="scale")
shift = sg.placeholder("float32", ("columns",), name="shift")


def layer_norm():
    centred = x - sg.mean(x, axis=1, keepdims=True)
    deviation = sg.sqrt(sg.var(x, axis=1, keepdims=True) + 1e-5)
    return centred / deviation * scale + shift


def adam():
    parameter, gradient, mean, square = (
        sg.placeholder("float32", ("numbers",), name=name)
        for name in ("parameter", "gradient", "mean", "square")
    )
    mean = 0.9 * mean + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient * gradient
    step = mean / 0.1 / (sg.sqrt(square / 0.001) + 1e-8)
    return [parameter - 0.001 * step, mean, square]


PROGRAMS = {
    "gelu": lambda: [sg.gelu(x)],
    "softmax": lambda: [sg.softmax(x, axis=1)],
    "layer_norm": lambda: [layer_norm()],
    "adam": adam,
    "column_sum": lambda: [sg.sum(x, axis=0)],
    "row_plus_transposed": lambda: [x.T + sg.placeholder("float32", ("columns", "rows"), name="z")],
    "sum_of_all": lambda: [sg.sum(x * x)],
}


def made(name, device=None):
    """A program by its name, for arrays of 1,024 x 1,024."""
    outputs = PROGRAMS[name]()
    inputs = [node for node in sg.toposort(outputs) if node.op.name == "placeholder"]
    program = CudaProgram(sg.function(inputs, outputs).plan, device or Simulator())
    return program, [np.ones((1024,) * node.ndim, node.dtype) for node in inputs]


def kernels(name):
    """Its kernels as CUDA C."""

    class Silent(Simulator):
        def load(self, kernels):
            pass

    program, arrays = made(name, Silent())
    program.prepared(arrays)
    return [text for each in program.codes.values() if isinstance(each, CudaStep) for text in each.texts()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_text(name, update):
    text = "\n".join(kernel.text for kernel in kernels(name))
    path = TEXTS / f"{name}.cu"
    if update:
        path.write_text(text, encoding="utf-8")
    assert path.read_text("utf-8") == text


@compiled
@pytest.mark.parametrize("name", PROGRAMS)
def test_nvrtc_finds_nothing_to_complain_of(name):
    text = text_of(kernels(name))
    for architecture in nvrtc.ARCHITECTURES:
        for report in nvrtc.report(text, architecture).values():
            assert 0 == report.spilled == report.stack == report.doubles, (architecture, report)
            assert report.registers <= 80


@compiled
@pytest.mark.parametrize("name", ["gelu", "softmax", "layer_norm", "adam", "sum_of_all"])
def test_neighbours_are_read_16_bytes_at_a_time(name):
    reports = list(nvrtc.report(text_of(kernels(name)), 90).values())
    assert any(report.wide_loads for report in reports)


@simulated
@pytest.mark.parametrize("shape", [(0,), (1,), (31,), (33,), (257,), (1000,), (3, 5), (7, 64), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_elements_have_the_bits_of_machine_code(dtype, shape):
    pytest.importorskip("llvmlite")
    y = sg.placeholder(dtype, (None,) * len(shape), name="y")
    outputs = [sg.exp(y) * sg.sin(y), sg.gelu(y), sg.tanh(y) / (1 + y * y), sg.pow(sg.abs(y), y)]
    given = np.random.default_rng(3).normal(size=shape).astype(dtype)
    for on_gpu, on_cpu in zip(
        *(run(outputs, y, given, device) for device in ("cuda-sim", "cpu")), strict=True
    ):
        np.testing.assert_array_equal(on_gpu, on_cpu)


def run(outputs, y, given, device):
    return sg.function([y], outputs, options=sg.Options(device=device))(given)


@simulated
@pytest.mark.parametrize("columns", [0, 1, 2, 31, 32, 33, 100, 255, 256, 257, 1000, 4096, 32769, 70000])
@pytest.mark.parametrize("rows", [0, 1, 3, 40])
def test_rows_of_any_length(rows, columns, thorough):
    if rows * columns > 20_000 and rows > 1 and not thorough:
        pytest.skip("pytest -m cuda_text runs it")
    outputs = [sg.sum(x, axis=1), sg.prod(1 + x / 4096, axis=1), sg.any(x > 2.9, axis=1)]
    if columns:
        outputs += [sg.softmax(x, axis=1), sg.logsumexp(x, axis=1), sg.argmax(x, axis=1), sg.max(x, axis=1)]
    check(outputs, (rows, columns))


@simulated
@pytest.mark.parametrize("rows", [0, 1, 2, 31, 33, 100, 1000, 33000])
@pytest.mark.parametrize("columns", [0, 1, 5, 33, 64])
def test_columns_of_any_length(rows, columns, thorough):
    if rows * columns > 40_000 and not thorough:
        pytest.skip("pytest -m cuda_text runs it")
    outputs = [sg.sum(x, axis=0), sg.var(x, axis=0), x - sg.mean(x, axis=0)]
    if rows:
        outputs += [sg.argmin(x, axis=0), sg.min(x, axis=0)]
    check(outputs, (rows, columns))


@simulated
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 7), (31, 33), (64, 32), (100, 70)])
def test_transposed(shape):
    check([x.T * 2 + 1, x.T + sg.exp(x.T)], shape)


def check(outputs, shape):
    """On the simulator, in three orders, as the evaluator has it."""
    given = np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")
    program = CudaProgram(sg.function([x], outputs).plan, device := Simulator())
    found = []
    for device.seed in (0, 1, 2):
        found.append(program.run([given]))
    for one, two, three, expected in zip(*found, sg.evaluate(outputs, {x: given}), strict=True):
        assert one.tobytes() == two.tobytes() == three.tobytes()
        assert one.dtype == expected.dtype
        size = np.abs(given).sum() / max(1, min(shape)) + 1 if one.dtype.kind == "f" else 1
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6 * size)


@simulated
def test_views_of_any_strides():
    outputs = [x[::-1, ::2] * 2, sg.sum(x[:, ::-1], axis=1), x[1:, 1:] + x[:-1, :-1], x.T[::3] - 1]
    check(outputs, (33, 20))


@simulated
def test_names_of_the_users_are_not_cs():
    names = ["float", "v0", "n1", "x_0", "x", "größe", "threadIdx", "sg_exp_f32", "end", "auto", "lane", "j"]
    nodes = [sg.placeholder("float32", (None,), name=name) for name in names]
    arrays = [np.full(3, n, "float32") for n in range(len(names))]
    total = sum(nodes[1:], nodes[0])
    found = sg.function(nodes, total, options=sg.Options(device="cuda-sim"))(*arrays)
    assert [66, 66, 66] == found.tolist()


def test_a_line_of_the_users_stays_a_comment(tmp_path):
    path = tmp_path / "strange\\.py"
    path.write_text("y = sg.exp(x)  # \\\n", encoding="utf-8")
    scope = {"sg": sg, "x": x}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), scope)
    lines = sg.function([x], scope["y"]).source("cuda").splitlines()
    assert any("strange" in line for line in lines)
    assert not any("strange" in line and line.endswith("\\") for line in lines)
