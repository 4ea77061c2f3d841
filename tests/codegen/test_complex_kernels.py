"""Kernels of complex numbers: arrays however they lie, machines of all widths, threads in any order."""

import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.cuda_printer import uncommented
from symgraph.runtime import emulator, nvrtc
from symgraph.runtime.cuda_backend import CudaProgram
from symgraph.runtime.device import text_of
from symgraph.runtime.native_backend import NativeProgram
from symgraph.runtime.simulator import Simulator
from tests.codegen.test_complex import (
    DTYPES,
    NAMES,
    OF_ONE,
    OF_TWO,
    arguments,
    differing,
    function,
    parts_of,
    reference,
    special_values,
)
from tests.codegen.test_llvm_machines import machine  # noqa: F401
from tests.derived.declared import FUNCTIONS_BY_NAME, calls
from tests.derived.test_cuda import Collector


def lying(values, kind):
    match kind:
        case "columns":
            return np.asfortranarray(values)
        case "apart":
            return np.repeat(values, 2, axis=1)[:, ::2]
        case "backwards":
            return np.flip(values.copy())
    return values


PROGRAMS = {
    "elements": lambda x, y: x * y + sg.conj(x) / (y + 2),
    "sum of rows": lambda x, y: sg.sum(x * y, axis=1),
    "sum of columns": lambda x, y: sg.sum(x * y, axis=0),
    "sum": lambda x, y: sg.sum(x + y),
    "product of rows": lambda x, y: sg.prod(x / abs(x) * abs(y) / y, axis=1),
    "product of columns": lambda x, y: sg.prod(x / abs(x) * abs(y) / y, axis=0),
    "variance": lambda x, y: sg.var(x * y, axis=1),
    "across": lambda x, y: x.T * 2 + y.T,
    "normed": lambda x, y: (x * y) / sg.sqrt(sg.sum(sg.real(x * sg.conj(x)), axis=1, keepdims=True)),
    "kept": lambda x, y: (
        sg.exp(x - sg.mean(y, axis=1, keepdims=True)) / sg.sum(abs(sg.exp(x)), axis=1, keepdims=True)
    ),
    "choice": lambda x, y: sg.where(sg.real(x) > 0, x, y),
    "wider": lambda x, y: sg.astype(sg.imag(y), "complex128") * sg.astype(x, "complex128"),
}
SHAPES = [(5, 33), (17, 129), (3, 1000), (300, 8), (1, 20_000), (7, 1), (0, 4)]


def program(name, dtype):
    x, y = (sg.placeholder(dtype, ("n", "m"), name=each) for each in "xy")
    return [x, y], PROGRAMS[name](x, y)


def arrays(dtype, shape):
    rng = np.random.default_rng(8)
    return [(rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype) for _ in "xy"]


def assert_close(found, expected, name, dtype):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    size = np.max(np.abs(expected), initial=1e-30)
    limit = 2000 if "product" in name else 50  # of tens of thousands of numbers
    assert np.max(np.abs(found - expected), initial=0) <= limit * np.finfo(dtype).eps * size


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_machine_code_reads_arrays_as_they_lie(name, dtype):
    inputs, output = program(name, dtype)
    native, plain = (
        sg.function(inputs, output, options=sg.Options(backend=backend)) for backend in ("llvm", "numpy")
    )

    for shape, kind in itertools.product(SHAPES, ("rows", "columns", "apart", "backwards")):
        given = [lying(x, kind) for x in arrays(dtype, shape)]
        with np.errstate(all="ignore"):
            assert_close(native(*given), plain(*given), name, dtype)


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_machines_of_other_widths(machine, dtype):  # noqa: F811
    kinds = ("rows", "apart")
    for name in PROGRAMS:
        inputs, output = program(name, dtype)
        native, plain = (
            sg.function(inputs, output, options=sg.Options(backend=backend)) for backend in ("llvm", "numpy")
        )
        for shape, kind in itertools.product([(5, 33), (130, 3), (2, 1000)], kinds):
            given = [lying(x, kind) for x in arrays(dtype, shape)]
            assert_close(native(*given), plain(*given), name, dtype)
    values = special_values(dtype)
    for name in OF_ONE:
        with np.errstate(all="ignore"):
            expected = reference(name)(values)
        found = function(name, dtype)(values)
        assert not differing(name, [values], found, expected).any(), name


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_arrays_are_streamed_and_turned(dtype):
    x = sg.placeholder(dtype, ("n", "m"), name="x")
    outputs = [x * 2, sg.conj(x.T) + 1]
    native, plain = (
        sg.function([x], outputs, options=sg.Options(backend=backend)) for backend in ("llvm", "numpy")
    )
    (values, _) = arrays(dtype, (1500, 1701))

    for given in (values, values[:, 1:], values[1:]):
        for found, expected in zip(native(given), plain(given), strict=True):
            np.testing.assert_array_equal(expected, found)


def plans(function):
    for call in calls(function, DTYPES):
        try:
            yield (
                call,
                sg.function(list(call.nodes), call.outputs(), options=sg.Options(backend="numpy")).plan,
            )
        except sg.errors.GraphError:  # results that read nothing
            continue


@pytest.mark.cpu
def test_no_kernel_is_left_to_numpy():
    left = {}
    for each in FUNCTIONS_BY_NAME.values():
        for call, plan in plans(each):
            for made in (NativeProgram(plan), CudaProgram(plan, Simulator())):
                left |= {str(call): list(made.left.values())} if made.left else {}

    assert not left


@pytest.mark.cuda_text
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_has_the_bits_of_machine_code(dtype):
    device, made = Collector(), {}
    given = {name: arguments(name, special_values(dtype)) for name in OF_ONE} | {
        name: [x[::7] for x in arguments(name, special_values(dtype))] for name in OF_TWO
    }
    for name, values in given.items():
        native = function(name, dtype)
        made[name] = native, CudaProgram(native.plan, device)
        made[name][1].prepared(values)

    for name, (native, cuda) in made.items():
        expected = native(*given[name])
        (found,) = cuda.run(given[name])
        assert not cuda.left
        np.testing.assert_array_equal(found, expected, err_msg=name)
        for mine, its in zip(parts_of(found), parts_of(expected), strict=True):
            known = ~np.isnan(its) if its.dtype != bool else np.zeros(its.shape, bool)
            assert np.array_equal(np.signbit(mine[known]), np.signbit(its[known])), name


@pytest.mark.cuda_text
@pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_gives_the_same_in_whatever_order_threads_run(dtype):
    shapes = [(5, 33), (3, 1000), (300, 8), (1, 40_000)]
    device, made = Collector(), []
    for name, shape in itertools.product(PROGRAMS, shapes):
        inputs, output = program(name, dtype)
        plain = sg.function(inputs, output, options=sg.Options(backend="numpy"))
        made.append((name, arrays(dtype, shape), plain, CudaProgram(plain.plan, device)))
        made[-1][3].prepared(made[-1][1])

    for name, given, plain, cuda in made:
        found = []
        for device.seed in (0, 1, 2):
            found.append(cuda.run(given)[0])
        assert_close(found[0], plain(*given), name, dtype)
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.cuda_text
@pytest.mark.skipif(not nvrtc.available(), reason="there is no NVRTC")
def test_nvrtc_takes_every_function():
    device = Collector()
    for name, dtype in NAMES:
        plan = function(name, dtype).plan
        CudaProgram(plan, device).prepared(arguments(name, special_values(dtype)[:8]))
    text = uncommented(text_of(list(device.wanted.values())))

    for architecture in (75, 90):
        assert nvrtc.compiled(text, architecture)


def test_text_has_structs_and_calls():
    x, y = (sg.placeholder("complex64", ("n",), name=each) for each in "xy")
    made = CudaProgram(sg.function([x, y], sg.exp(x * y) - sg.conj(x)).plan, Simulator())

    text = made.text()

    for line in (
        "const sg_complex<float>* x",
        "= sg_multiply_c64(v0, v1);",
        "= sg_exp_c64(v2);",
        "= sg_complex<float>{v0.re, -v0.im};",
        "= v3 - v4;",
    ):
        assert line in text
