"""CUDA's text on the CPU: right kernels agree with NumPy in any order, wrong ones are found and named."""

import os
import re
import subprocess
import sys
import textwrap
import threading
from importlib.resources import files

import ml_dtypes
import numpy as np
import pytest

from symgraph.errors import ArgumentError, DeviceError, DTypeError
from symgraph.runtime import emulator
from symgraph.runtime.cache import Cache
from symgraph.runtime.emulator import Emulator

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]

PRELUDE = files("symgraph.codegen").joinpath("prelude.cu").read_text("utf-8")

SIGMOID = """
extern "C" __global__ void sigmoid(const float* __restrict__ x, float* __restrict__ y, long long n) {
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
    y[i] = 1.0f / (1.0f + expf(-x[i]));
}
SG_KERNEL(sigmoid)
"""

SUM = """
extern "C" __global__ void sum(const double* x, double* total, int n) {
  SG_SHARED(double, parts);
  double own = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) own += x[i];
  parts[threadIdx.x] = own;
  for (int half = blockDim.x / 2; half; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  if (threadIdx.x == 0) atomicAdd(total, parts[0]);
}
SG_KERNEL(sum)
"""

SOFTMAX = """
extern "C" __global__ void softmax(const float* x, float* y, int rows, int columns) {
  SG_SHARED(float, row);
  __shared__ float parts[32];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  for (int r = blockIdx.x; r < rows; r += gridDim.x) {
    const float* from = x + (long long)r * columns;
    float most = -INFINITY;
    for (int c = threadIdx.x; c < columns; c += blockDim.x) most = fmaxf(most, row[c] = from[c]);
    for (int d = 16; d; d /= 2) most = fmaxf(most, sg_shuffle_xor(most, d));
    if (lane == 0) parts[warp] = most;
    __syncthreads();
    most = lane < warps ? parts[lane] : -INFINITY;
    for (int d = 16; d; d /= 2) most = fmaxf(most, sg_shuffle_xor(most, d));
    __syncthreads();
    float sum = 0;
    for (int c = threadIdx.x; c < columns; c += blockDim.x) sum += row[c] = expf(row[c] - most);
    for (int d = 16; d; d /= 2) sum += sg_shuffle_xor(sum, d);
    if (lane == 0) parts[warp] = sum;
    __syncthreads();
    sum = lane < warps ? parts[lane] : 0;
    for (int d = 16; d; d /= 2) sum += sg_shuffle_xor(sum, d);
    __syncthreads();
    for (int c = threadIdx.x; c < columns; c += blockDim.x) y[(long long)r * columns + c] = row[c] / sum;
  }
}
SG_KERNEL(softmax)
"""
SYNC = "    __syncthreads();\n"


@pytest.fixture(scope="module")
def kernels():
    return Emulator(PRELUDE + SIGMOID + SUM + SOFTMAX)


def softmax(kernels, x, seed, *, threads=128, shared=None):
    y = np.full_like(x, 7)
    shared = 4 * x.shape[1] if shared is None else shared
    kernels.launch("softmax", (3,), (threads,), shared, (x, y, *np.int32(x.shape)), seed)
    return y


def rows(height=8, width=200):
    return np.random.default_rng(0).standard_normal((height, width)).astype(np.float32) * 3


def softmax_of(x):
    powers = np.exp(x - x.max(1, keepdims=True).astype(np.float64))
    return powers / powers.sum(1, keepdims=True)


def kernel(body):
    """A kernel ``k`` over ``x`` and ``y`` of ``n`` numbers, for each thread ``i``; line 1 is that of ``body``."""
    head = 'extern "C" __global__ void k(const float* x, float* y, int n) { const int i = threadIdx.x; '
    return head + textwrap.dedent(body).strip() + "\n}\nSG_KERNEL(k)\n"


def run(body, seed=0, *, threads=64, shared=0, blocks=1):
    x, y = np.arange(threads, dtype=np.float32), np.zeros(threads, np.float32)
    Emulator(kernel(body)).launch("k", (blocks,), (threads,), shared, (x, y, np.int32(threads)), seed)
    return y


def refused(body, *, threads=64, shared=0):
    """The message that every order of threads ends in, without the thread that is first."""
    said = set()
    for seed in range(6):
        with pytest.raises(DeviceError) as found:
            run(body, seed, threads=threads, shared=shared)
        said.add(str(found.value).split(": ", 1)[1])
    return sorted(said)


# What is right


@pytest.mark.parametrize("n", [0, 1, 31, 33, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_elementwise(kernels, n, seed):
    x, y = np.linspace(-9, 9, n, dtype=np.float32), np.zeros(n, np.float32)
    kernels.launch("sigmoid", (3,), (64,), 0, (x, y, np.int64(n)), seed)

    np.testing.assert_array_max_ulp(y, 1 / (1 + np.exp(-x)), 4)


@pytest.mark.parametrize("seed", range(4))
def test_sum(kernels, seed):
    x, total = np.arange(1000.0), np.zeros(1)
    kernels.launch("sum", (5,), (64,), 64 * 8, (x, total, np.int32(1000)), seed)

    assert 499500 == total


def test_softmax_has_the_same_bits_in_any_order(kernels):
    x = rows()
    first, *others = [softmax(kernels, x, seed) for seed in range(5)]

    np.testing.assert_allclose(first, softmax_of(x), rtol=1e-5)
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("block", [(1024,), (8, 4, 2), (1, 1, 64)])
def test_indices(block):
    text = """
extern "C" __global__ void k(unsigned* y) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  y[block * (blockDim.x * blockDim.y * blockDim.z) + thread] += block * 10000 + thread;
}
SG_KERNEL(k)
"""
    count = np.prod(block)
    for seed in range(3):
        y = np.zeros((30, count), np.uint32)
        Emulator(text).launch("k", (5, 3, 2), block, 0, (y,), seed)

        assert np.array_equal(np.arange(30)[:, None] * 10000 + np.arange(count), y)


def test_orders_differ():
    body = "atomicAdd(y, 1.0f); y[i + 1] = y[0];"
    text = kernel(body).replace("y[i + 1]", "y[1 + i + blockDim.x * blockIdx.x]")
    seen = []
    for seed in range(3):
        x, y = np.zeros(1, np.float32), np.zeros(1 + 4 * 96, np.float32)
        Emulator(text).launch("k", (4,), (96,), 0, (x, y, np.int32(0)), seed)
        seen.append(y[1:])

    assert np.array_equal(np.arange(1, 385), seen[0])
    assert not np.array_equal(seen[1], seen[2])
    assert np.array_equal(seen[0], np.sort(seen[1]))


def test_shuffles_and_votes():
    i = np.arange(32)
    done = {
        "__shfl_sync(all, x[i], 5)": 5 + 0 * i,
        "__shfl_sync(all, x[i], i + 1, 4)": i // 4 * 4 + (i + 1) % 4,
        "__shfl_down_sync(all, x[i], 3)": np.minimum(i + 3, np.where(i < 29, 31, i)),
        "__shfl_down_sync(all, x[i], 3, 8)": np.where(i % 8 + 3 < 8, i + 3, i),
        "__shfl_up_sync(all, x[i], 2)": np.where(i >= 2, i - 2, i),
        "__shfl_xor_sync(all, x[i], 9)": i ^ 9,
        "__shfl_xor_sync(all, x[i], 9, 8)": np.where(i & 8, i ^ 9, i),
        "__ballot_sync(all, i < 20)": 2**20 - 1 + 0 * i,
        "__any_sync(all, i == 7)": 1 + 0 * i,
        "__any_sync(all, i == 32)": 0 * i,
        "__all_sync(all, i < 32)": 1 + 0 * i,
        "__all_sync(all, i < 31)": 0 * i,
    }
    body = "const unsigned all = 0xffffffff;"
    body += "".join(f"y[{32 * n} + i] = {value};" for n, value in enumerate(done))
    kernels, x = Emulator(kernel(body)), np.arange(32, dtype=np.float32)
    for seed in range(3):
        y = np.empty((len(done), 32), np.float32)
        kernels.launch("k", (1,), (32,), 0, (x, y, np.int32(32)), seed)

        assert {value: list(row) for value, row in done.items()} == {
            value: list(row) for value, row in zip(done, y, strict=True)
        }


def test_texts_take_turns(kernels):
    others = Emulator(PRELUDE + SOFTMAX.replace("softmax", "another"))
    x = rows()
    for seed, threads in enumerate([128, 256, 1024, 32, 512]):
        y = np.zeros_like(x)
        others.launch("another", (2,), (threads,), 4 * x.shape[1], (x, y, *np.int32(x.shape)), seed)

        np.testing.assert_allclose(y, softmax_of(x), rtol=1e-5)
        np.testing.assert_allclose(softmax(kernels, x, seed, threads=threads), softmax_of(x), rtol=1e-5)


def test_parts_of_a_warp_meet_apart_from_each_other():
    body = """
        const unsigned own = i % 32 < 8 ? 0xff : 0xffffff00;
        float v = x[i];
        for (int k = 0; k < (i % 32 < 8 ? 5 : 3); ++k) v = (v + __shfl_xor_sync(own, v, 1)) / 2;
        y[i] = __shfl_sync(0xffffffff, v, 31);
    """
    for seed in range(4):
        assert np.array_equal(np.repeat([30.5, 62.5], 32), run(body, seed))


def test_atomics():
    body = """
        __shared__ int most, least, bits, held;
        if (i == 0) most = -1, least = 99, bits = 0, held = 0;
        __syncthreads();
        atomicMax(&most, (int)x[i]); atomicMin(&least, (int)x[i]); atomicOr(&bits, 1 << i % 32);
        for (int old = held, seen; (seen = atomicCAS(&held, old, old + 2)) != old; old = seen);
        __syncthreads();
        y[i] = most * 1000 + least * 100 + (bits == -1) * 10 + (held == 128);
    """
    for seed in range(3):
        assert np.array_equal(np.full(64, 63011), run(body, seed))


def test_each_product_is_rounded():
    text = kernel("y[i] = x[i] * x[i] - 1;")
    x, y = np.float32([1 + 2**-12]), np.zeros(1, np.float32)
    Emulator(text).launch("k", (1,), (1,), 0, (x, y, np.int32(1)))
    fused = kernel("y[i] = fmaf(x[i], x[i], -1);")

    assert np.float32(2**-11) == y
    Emulator(fused).launch("k", (1,), (1,), 0, (x, y, np.int32(1)))
    assert np.float32(2**-11 + 2**-24) == y


def test_threads_of_the_process_take_turns(kernels):
    x, failed = rows(), []

    def work(seed):
        for k in range(5):
            if not np.allclose(softmax(kernels, x, seed + k), softmax_of(x), atol=1e-6):
                failed.append(seed)

    workers = [threading.Thread(target=work, args=(10 * n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert not failed


# What is wrong


@pytest.mark.parametrize("which", range(4))
def test_a_barrier_that_is_missing_shows(which):
    parts = SOFTMAX.split(SYNC)
    kernels = Emulator(PRELUDE + SYNC.join(parts[: which + 1]) + SYNC.join(parts[which + 1 :]))
    x = rows()
    right = [np.allclose(softmax(kernels, x, seed), softmax_of(x), atol=1e-6) for seed in range(6)]

    assert not all(right)


def test_a_barrier_of_a_warp_that_is_missing_shows():
    body = "__shared__ float kept[64]; kept[i] = x[i]; SYNC y[i] = kept[i ^ 1];"
    expected = np.arange(64) ^ 1

    assert all(
        np.array_equal(expected, run(body.replace("SYNC", "__syncwarp();"), seed)) for seed in range(6)
    )
    assert not all(np.array_equal(expected, run(body.replace("SYNC", ""), seed)) for seed in range(6))


def test_shared_memory_begins_as_nan():
    static = run("__shared__ float kept[64]; if (i) kept[i] = x[i]; __syncthreads(); y[i] = kept[i];")
    dynamic = run(
        "SG_SHARED(float, kept); if (i) kept[i] = x[i]; __syncthreads(); y[i] = kept[i];", shared=256
    )
    doubles = run("SG_SHARED(double, kept); y[i] = kept[i];", shared=512)
    # what one block leaves, the next does not see
    blocks = run("__shared__ float kept; y[i] += blockIdx.x ? kept : 0; __syncthreads(); kept = 1;", blocks=2)

    assert np.isnan(static[0]) and np.array_equal(np.arange(1, 64), static[1:])
    assert np.isnan(dynamic[0]) and np.array_equal(np.arange(1, 64), dynamic[1:])
    assert np.isnan(doubles).all()
    assert np.isnan(blocks).all()


@pytest.mark.parametrize("at", ["64", "64 + i", "-1 - i", "80"])
def test_writing_outside_shared_memory(at):
    said = refused(f"SG_SHARED(float, kept); kept[{at}] = x[i]; y[i] = 1;", shared=256)

    assert ["writes outside its 256 bytes of shared memory"] == said


def test_a_barrier_under_a_condition():
    said = refused("if (i < 40)\n__syncthreads();\ny[i] = x[i];")

    assert {"returns while others wait at __syncthreads (line 2)"} | set(said) == {
        "returns while others wait at __syncthreads (line 2)",
        "is at __syncthreads (line 2), but a thread of its block has returned",
    }


def test_two_barriers():
    said = refused("if (i < 40)\n__syncthreads();\nelse\n__syncthreads();\ny[i] = x[i];")

    assert set(said) <= {
        "is at __syncthreads (line 2), others wait at the one of line 4",
        "is at __syncthreads (line 4), others wait at the one of line 2",
    }


def test_a_return_before_a_barrier():
    said = refused("if (i >= 40) return;\n__syncthreads();\ny[i] = x[i];")

    assert set(said) <= {
        "is at __syncthreads (line 2), but a thread of its block has returned",
        "returns while others wait at __syncthreads (line 2)",
    }


@pytest.mark.parametrize("mask", ["0xffff", "0xfffffffe", "1u << (i + 1) % 32"])
def test_a_mask_without_the_caller(mask):
    for line in refused(f"y[i] = __shfl_xor_sync({mask}, x[i], 1);"):
        assert line.startswith("__shfl_xor_sync (line 1): the mask ")


def test_a_mask_with_lanes_that_are_not_there():
    said = refused("y[i] = __shfl_xor_sync(0xffffffff, x[i], 1);", threads=40)

    assert ["__shfl_xor_sync (line 1): the mask ffffffff names lanes that the block does not have"] == said


def test_a_lane_that_has_returned():
    said = refused("""
        if (i % 32 == 9) return;
        __syncwarp(~(1 << 9));
        y[i] = __shfl_down_sync(0xffffffff, x[i], 1);
    """)

    assert "__shfl_down_sync (line 3): the mask ffffffff names lanes that have returned" in said
    assert any(
        re.fullmatch(r"returns while lane \d+ waits for it in __shfl_down_sync \(line 3\)", x) for x in said
    )
    assert all("__shfl_down_sync (line 3)" in each for each in said)


def test_lanes_at_two_shuffles():
    body = """
        const unsigned all = 0xffffffff;
        if (i % 32 < 9) y[i] = __shfl_xor_sync(all, x[i], 1);
        else y[i] = __shfl_sync(all, x[i], 1);
    """
    for line in refused(body):
        assert "__shfl_xor_sync (line 2)" in line and "__shfl_sync (line 3)" in line


def test_lanes_with_two_masks():
    for line in refused("y[i] = __shfl_xor_sync(i % 32 < 9 ? 0xffffffff : 0xfffffff0, x[i], 1);"):
        assert "mask" in line


def test_a_lane_that_nobody_names_gives_nothing():
    y = run("if (i < 16) y[i] = __shfl_sync(0xffff, x[i], 20);")

    assert np.isnan(y[:16]).all()


def test_a_deadlock():
    said = refused("if (i % 32 < 9)\n__syncthreads();\nelse\n__syncwarp();\ny[i] = x[i];")

    assert set(said) <= {
        "deadlock: waits at __syncthreads (line 2), others in __syncwarp (line 4)",
    }


def test_a_vector_that_is_not_aligned():
    text = PRELUDE + kernel("sg_store(y + 4 * i, sg_load<float, 4>(x + 1 + 4 * i));")
    x, y = np.zeros(12, np.float32), np.zeros(8, np.float32)

    with pytest.raises(DeviceError, match="is not aligned to 16 bytes"):
        Emulator(text).launch("k", (1,), (2,), 0, (x, y, np.int32(1)))


def test_after_an_error_all_is_well(kernels):
    x = rows()
    for threads, shared in ((100, None), (128, 400)):
        with pytest.raises(DeviceError):
            softmax(kernels, x, 1, threads=threads, shared=shared)

    np.testing.assert_allclose(softmax(kernels, x, 1), softmax_of(x), rtol=1e-5)


# What no device launches


@pytest.mark.parametrize(
    "grid, block, shared",
    [
        ((0,), (32,), 0),
        ((1,), (0,), 0),
        ((-1,), (32,), 0),
        ((1,), (1025,), 0),
        ((1,), (32, 33), 0),
        ((1,), (1, 1, 65), 0),
        ((1, 65536), (32,), 0),
        ((1, 1, 65536), (32,), 0),
        ((1 << 31,), (32,), 0),
        ((1 << 32,), (32,), 0),
        ((1,), (32,), 228 << 10),
    ],
)
def test_sizes_that_no_device_has(kernels, grid, block, shared):
    x = rows()

    with pytest.raises(DeviceError, match="softmax: no device launches"):
        kernels.launch("softmax", grid, block, shared, (x, x, np.int32(1), np.int32(1)))


def test_parameters(kernels):
    text = """
struct Pair { float a, b; };
extern "C" __global__ void k(bool* a, const unsigned short* __restrict__ b, long long c, unsigned char d, double e,
                             const Pair* f, const bool g) {}
SG_KERNEL(k)
extern "C" __global__ void nothing() {}
SG_KERNEL(nothing)
"""
    made = Emulator(text)

    assert ("const f4*", "f4*", "i4", "i4") == kernels.parameters("softmax")
    assert ("b1*", "const u2*", "i8", "u1", "f8", "const V8*", "b1") == made.parameters("k")
    assert () == made.parameters("nothing")
    made.launch("nothing", (2,), (2,), 0, ())
    flags, pair = np.zeros(1, bool), np.zeros(1, np.complex64)
    for halves in (np.zeros(1, np.float16), np.zeros(1, ml_dtypes.bfloat16), np.zeros(1, np.uint16)):
        halves.setflags(write=False)
        rest = (np.int64(1), np.uint8(2), np.float64(3), pair, np.bool_(True))
        made.launch("k", (1,), (1,), 0, (flags, halves, *rest))
        made.launch("k", (1,), (1,), 0, (flags.ctypes.data, halves, *rest))


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (lambda x, y: (x, y, 5), ArgumentError, "argument 2 is of type int, the kernel takes i8"),
        (lambda x, y: (x, y, np.int32(5)), DTypeError, "argument 2 is int32, the kernel takes i8"),
        (lambda x, y: (x, y, np.uint64(5)), DTypeError, "argument 2 is uint64, the kernel takes i8"),
        (lambda x, y: (x, y, np.float64(5)), DTypeError, "argument 2 is float64, the kernel takes i8"),
        (lambda x, y: (x, y, y), ArgumentError, "argument 2 is of type ndarray, the kernel takes i8"),
        (
            lambda x, y: (x.astype("f8"), y, np.int64(5)),
            DTypeError,
            r"an array of float64, .* takes const f4\*",
        ),
        (lambda x, y: (x, x.view("i4"), np.int64(5)), DTypeError, r"1 is an array of int32, .* takes f4\*"),
        (
            lambda x, y: (x[0], y, np.int64(5)),
            ArgumentError,
            r"0 is of type float32, the kernel takes const f4\*",
        ),
        (lambda x, y: (x, x, np.int64(5)), ArgumentError, r"1 is read-only, the kernel takes f4\*"),
        (lambda x, y: (x, y), ArgumentError, r"takes 3 arguments \(const f4\*, f4\*, i8\), not 2"),
        (lambda x, y: (x, y, y, np.int64(5)), ArgumentError, "takes 3 arguments .*, not 4"),
    ],
)
def test_wrong_arguments(kernels, arguments, error, message):
    x, y = np.zeros(5, np.float32), np.zeros(5, np.float32)
    x.setflags(write=False)

    with pytest.raises(error, match=f"^sigmoid.*{message}"):
        kernels.launch("sigmoid", (1,), (32,), 0, arguments(x, y))


def test_a_kernel_that_is_not_there(kernels):
    with pytest.raises(ArgumentError, match="the text has no kernel 'tanh'"):
        kernels.launch("tanh", (1,), (32,), 0, ())


# The compiler


def test_a_text_that_does_not_compile():
    with pytest.raises(
        DeviceError, match=r"kernel\.cu:2:8: error: .*tanhh.*\n *2 \| y\[i\] = tanhh\(x\[i\]\);"
    ):
        Emulator(kernel("y[i] = 1;\ny[i] = tanhh(x[i]);"))


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)

    assert not emulator.available()
    with pytest.raises(DeviceError, match=r"install g\+\+ or clang\+\+, or name one by the variable CXX"):
        Emulator(SIGMOID)


def test_the_compiler_that_is_named(monkeypatch, tmp_path):
    (tmp_path / "mine").write_text(f'#!/bin/sh\necho used >> {tmp_path}/log\nexec c++ "$@"\n')
    (tmp_path / "mine").chmod(0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "mine"))
    Emulator(SIGMOID, store=Cache(None))

    assert (tmp_path / "log").exists()


def test_what_is_compiled_is_kept(monkeypatch, tmp_path):
    store = Cache(tmp_path)
    Emulator(SIGMOID, store=store)
    monkeypatch.setattr(emulator, "_compile", None)
    x, y = np.zeros(3, np.float32), np.zeros(3, np.float32)
    Emulator(SIGMOID, store=store).launch("sigmoid", (1,), (32,), 0, (x, y, np.int64(3)))

    assert np.array_equal([0.5, 0.5, 0.5], y)


SANITIZED = """
import sys
import numpy as np
from symgraph.runtime.cache import Cache
from symgraph.runtime.emulator import Emulator

kernels = Emulator(sys.stdin.read(), sanitized=True, store=Cache(None))
x, y = np.ones((6, 100), np.float32), np.ones((6, 100), np.float32)
if "sigmoid" in sys.argv:
    kernels.launch("sigmoid", (2,), (64,), 0, (x, y, np.int64(600)), 1)
else:
    kernels.launch("softmax", (3,), (64,), 400, (x, y, np.int32(6), np.int32(100)), 2)
print("well", float(y.sum()))
"""


@pytest.mark.parametrize(
    "name, old, new, message",
    [
        ("softmax", "", "", None),
        ("sigmoid", "i < n;", "i <= n;", r"heap-buffer-overflow.*kernel\.cu"),
        (
            "softmax",
            "parts[warp] = sum",
            "parts[warp + 31] = sum",
            r"kernel\.cu:\d+:\d+: runtime error: index 32 out of bounds",
        ),
        ("softmax", "sum += row[c] = expf", "sum += row[c + 1] = expf", r"use-after-poison.*kernel\.cu"),
    ],
)
def test_accesses_are_checked_where_they_are_asked_to_be(name, old, new, message):
    library = emulator.sanitizer()
    if not os.path.isabs(library):
        pytest.skip("the compiler has no address sanitizer")
    text = PRELUDE + (SIGMOID + SOFTMAX).replace(old, new)
    done = subprocess.run(
        [sys.executable, "-c", SANITIZED, name],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    if message is None:
        assert 0 == done.returncode, done.stderr
        assert "well" in done.stdout
    else:
        assert done.returncode != 0
        assert re.search(message, done.stderr, re.S), done.stderr
