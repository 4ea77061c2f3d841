"""The device "cuda" with no GPU: what it says where a program fails, and where something is missing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DeviceError, OutOfBoundsError, ShapeError
from symgraph.runtime import cuda, emulator, nvrtc
from symgraph.runtime.cuda import Cuda
from tests.runtime.cuda_programs import arrays, program, v, x, y
from tests.runtime.cupy_stand_in import CUDADriverError, CUDARuntimeError, Device, Module, ndarray

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]


# Errors


def test_an_index_out_of_bounds_names_the_line(device):
    i = sg.placeholder("int64", ("j",), name="i")
    _, made = program(device, [v, i], [sg.exp(v)[i] * 2])

    with pytest.raises(OutOfBoundsError, match=r"test_cuda_errors\.py"):
        made.run([*arrays((4,)), np.array([1, 4])])


def test_no_extremum_of_nothing(device):
    _, made = program(device, [x], [sg.max(x, axis=1)])

    with pytest.raises(ShapeError, match=r"test_cuda_errors\.py"):
        made.run([np.zeros((3, 0), "float32")])


def test_arrays_that_disagree(device):
    _, made = program(device, [x, y], [x @ y])

    with pytest.raises(ShapeError, match="y is"):
        made.run(arrays((3, 4), (5, 6)))


def test_code_that_the_driver_refuses(device, monkeypatch):
    def load(self, cubin):
        raise CUDADriverError("CUDA_ERROR_NO_BINARY_FOR_GPU")

    monkeypatch.setattr(Module, "load", load)
    _, made = program(device, [x], [sg.exp(x) * 0.375])

    with pytest.raises(
        DeviceError, match=r"driver, for CUDA 13\.0, does not load what NVRTC of the tests compiled"
    ):
        made.run(arrays((3, 4)))


def test_a_library_that_is_not_there(device, monkeypatch):
    def product(*_, **__):
        raise ImportError('Failure finding "libcublasLt.so.13"')

    monkeypatch.setattr(ndarray, "__array_ufunc__", product)
    _, made = program(device, [x, y], [x @ y])

    with pytest.raises(DeviceError, match=r"matmul needs a library that CuPy does not find: .*libcublasLt"):
        made.run(arrays((3, 4), (4, 2)))


# What is missing


def refusing(error):
    def refuse():
        raise CUDARuntimeError(error)

    return refuse


def test_nothing_is_missing(cupy):
    assert cuda.available(1)
    assert cuda.missing() is None


def test_no_cupy(monkeypatch):
    monkeypatch.setattr(cuda, "cupy", None)
    monkeypatch.setattr(cuda, "_WHY", "No module named 'cupy'", raising=False)

    assert not cuda.available()
    with pytest.raises(DeviceError, match=r'"cuda" needs CuPy: pip install "symgraph-compiler\[cuda13\]"'):
        Cuda()

    monkeypatch.setattr(cuda, "_WHY", "libcudart.so.13: cannot open", raising=False)
    assert "cannot be imported here: libcudart.so.13" in cuda.missing()


@pytest.mark.parametrize(
    "runtime, sentence",
    [
        (
            {"getDeviceCount": refusing("cudaErrorInsufficientDriver"), "driverGetVersion": lambda: 0},
            "needs NVIDIA's driver, and there is none on this machine",
        ),
        (
            {"getDeviceCount": refusing("cudaErrorInsufficientDriver"), "driverGetVersion": lambda: 12080},
            "needs a driver for CUDA 13.2, which CuPy is built for; the one here is for 12.8",
        ),
        (
            {"getDeviceCount": refusing("cudaErrorNoDevice")},
            "needs an NVIDIA GPU, and the driver shows none: cudaErrorNoDevice",
        ),
        ({"getDeviceCount": lambda: 0}, "needs a GPU number 0, and there are 0, from 0 on"),
    ],
)
def test_no_driver_and_no_gpu(cupy, runtime, sentence):
    vars(cupy.cuda.runtime).update(runtime)

    assert f'the device "cuda" {sentence}' == cuda.missing()


def test_no_nvrtc(cupy, monkeypatch):
    monkeypatch.setattr(nvrtc, "available", lambda: False)

    assert "needs NVRTC" in cuda.missing()


def test_a_gpu_that_is_too_old(cupy, monkeypatch):
    monkeypatch.setattr(Device, "compute_capability", "70")

    assert "the GPU is of compute capability 7.0" in cuda.missing()


def test_the_bench_runs_without_a_gpu():
    root = Path(__file__).parents[2]
    command = [sys.executable, "bench/gpu.py", "--emulate", "--only", "elementwise", "launch"]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert 11 == done.stdout.count(" right\n")
