"""What CUDA's text begins with: it computes as NumPy does, on the emulator, and NVRTC takes it."""

from importlib.resources import files

import ml_dtypes
import numpy as np
import pytest

from symgraph.runtime import emulator, nvrtc

pytestmark = pytest.mark.cuda_text
needs_compiler = pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler")
needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason="there is no NVRTC")

PRELUDE = files("symgraph.codegen").joinpath("prelude.cu").read_text("utf-8")
NUMBERS = {
    "bool": np.bool_,
    "signed char": np.int8,
    "unsigned char": np.uint8,
    "short": np.int16,
    "unsigned short": np.uint16,
    "int": np.int32,
    "unsigned": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "float": np.float32,
    "double": np.float64,
}


def elementwise(name, taken, made, value):
    return f"""
extern "C" __global__ void {name}(const {taken}* x, {made}* y, int n) {{
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = {value};
}}
SG_KERNEL({name})
"""


def of_numbers(number, i):
    """Kernels that shuffle numbers of a type, and move them 16 bytes at a time."""
    size = 16 // np.dtype(NUMBERS[number]).itemsize
    return f"""
extern "C" __global__ void shuffled{i}(const {number}* x, {number}* y) {{
  for (int lanes = 0; lanes < 32; ++lanes) y[lanes * 32 + threadIdx.x] = sg_shuffle_xor(x[threadIdx.x], lanes);
}}
SG_KERNEL(shuffled{i})
extern "C" __global__ void moved{i}(const {number}* x, {number}* y) {{
  SG_SHARED({number}, kept);
  const int at = {size} * threadIdx.x;
  sg_vector<{number}, {size}> some = sg_load<{number}, {size}>(x + at);
  for (int j = 0; j < {size}; ++j) kept[at + j] = some.at[j];
  __syncthreads();
  for (int j = 0; j < {size}; ++j) some.at[j] = kept[{size} * blockDim.x - 1 - at - j];
  sg_store(y + at, some);
}}
SG_KERNEL(moved{i})
"""


TEXT = PRELUDE + "".join(
    [
        elementwise("from_half", "unsigned short", "float", "sg_from_half(x[i])"),
        elementwise("to_half", "float", "unsigned short", "sg_to_half(x[i])"),
        elementwise("from_bfloat16", "unsigned short", "float", "sg_from_bfloat16(x[i])"),
        elementwise("to_bfloat16", "float", "unsigned short", "sg_to_bfloat16(x[i])"),
        elementwise("bits_of_floats", "float", "int", "sg_bits(x[i])"),
        elementwise("bits_of_doubles", "double", "long long", "sg_bits(x[i])"),
        elementwise("floats_of_bits", "int", "float", "sg_float(x[i])"),
        elementwise("doubles_of_bits", "long long", "double", "sg_double(x[i])"),
        elementwise("without_end", "float", "float", "x[i] > 0 ? INFINITY : x[i] < 0 ? -INFINITY : NAN"),
        *(of_numbers(number, i) for i, number in enumerate(NUMBERS)),
    ]
)


@pytest.fixture(scope="module")
def kernels():
    return emulator.Emulator(TEXT)


def run(kernels, name, x, dtype):
    y = np.empty(x.shape, dtype)
    kernels.launch(name, (-(-x.size // 256),), (256,), 0, (x, y, np.int32(x.size)))
    return y


def floats():
    """Floats of all sizes, the halves, and those in the middle between two halves, with their neighbours."""
    draw = np.random.default_rng(0)
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.unique(halves[np.isfinite(halves)])
    middles = np.append((finite[1:] + finite[:-1]) / 2, np.float32([65520, -65520]))
    up, down = (np.nextafter(middles, np.float32(end)) for end in (np.inf, -np.inf))
    drawn = draw.integers(0, 2**32, 2_000_000, dtype=np.uint32).view(np.float32)
    usual = draw.standard_normal(1_000_000) * 10.0 ** draw.integers(-9, 6, 1_000_000)
    return np.concatenate([halves, middles, up, down, drawn, usual.astype(np.float32)])


@needs_compiler
def test_halves_become_floats(kernels):
    halves = np.arange(65536, dtype=np.uint16)
    expected = halves.view(np.float16).astype(np.float32)
    got = run(kernels, "from_half", halves, np.float32)
    numbers = ~np.isnan(expected)

    assert np.array_equal(numbers, ~np.isnan(got))
    assert np.array_equal(expected[numbers].view(np.uint32), got[numbers].view(np.uint32))


@needs_compiler
def test_floats_become_halves(kernels):
    x = floats()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        expected = x.astype(np.float16)
    got = run(kernels, "to_half", x, np.uint16)
    numbers = ~np.isnan(x)

    assert np.array_equal(expected[numbers].view(np.uint16), got[numbers])
    assert np.isnan(got[~numbers].view(np.float16)).all()


@needs_compiler
def test_halves_come_back(kernels):
    halves = np.arange(65536, dtype=np.uint16)
    numbers = ~np.isnan(halves.view(np.float16))
    got = run(kernels, "to_half", run(kernels, "from_half", halves, np.float32), np.uint16)

    assert np.array_equal(halves[numbers], got[numbers])


@needs_compiler
def test_bfloat16(kernels):
    x, all_of_them = floats(), np.arange(65536, dtype=np.uint16)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = x.astype(ml_dtypes.bfloat16)
        widened = all_of_them.view(ml_dtypes.bfloat16).astype(np.float32)

    assert np.array_equal(rounded.view(np.uint16), run(kernels, "to_bfloat16", x, np.uint16))
    assert np.array_equal(
        widened.view(np.uint32), run(kernels, "from_bfloat16", all_of_them, np.float32).view(np.uint32)
    )


@needs_compiler
def test_bits(kernels):
    x = np.random.default_rng(1).integers(-(2**63), 2**63, 1000)
    for bits, number, size in ((x.astype(np.int32), np.float32, "float"), (x, np.float64, "double")):
        numbers = bits.view(number)

        assert np.array_equal(bits, run(kernels, f"bits_of_{size}s", numbers, bits.dtype))
        assert np.array_equal(bits, run(kernels, f"{size}s_of_bits", bits, number).view(bits.dtype))


@needs_compiler
def test_infinity(kernels):
    x = np.float32([1, -1, 0])

    assert "[ inf -inf  nan]" == str(run(kernels, "without_end", x, np.float32))


@needs_compiler
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_shuffled_and_moved(kernels, number):
    i, dtype = list(NUMBERS).index(number), np.dtype(NUMBERS[number])
    size = 32 * 16 // dtype.itemsize
    bits = np.random.default_rng(2).integers(0, 256, size * dtype.itemsize, dtype=np.uint8)
    x = bits % 2 == 1 if number == "bool" else bits.view(dtype)
    x = x.astype(dtype)[:size]
    shuffled, moved = np.empty((32, 32), dtype), np.empty(size, dtype)
    for seed in range(3):
        kernels.launch(f"shuffled{i}", (1,), (32,), 0, (x, shuffled), seed)
        kernels.launch(f"moved{i}", (1,), (32,), x.nbytes, (x, moved), seed)

        assert x[np.arange(32) ^ np.arange(32)[:, None]].tobytes() == shuffled.tobytes()
        assert x[::-1].tobytes() == moved.tobytes()


@needs_nvrtc
@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_nvrtc_takes_it(architecture):
    assert nvrtc.compiled(TEXT, architecture).startswith(b"\x7fELF")


@needs_nvrtc
def test_vectors_are_loaded_and_stored_at_once():
    reports = nvrtc.report(TEXT, 90)
    for i, number in enumerate(NUMBERS):
        moved = reports[f"moved{i}"]

        assert (1, 1) == (moved.loads, moved.wide_loads), number
        assert (1, 1) == (moved.stores, moved.wide_stores), number
        assert 0 == moved.stack
