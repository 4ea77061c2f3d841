"""NVRTC without a GPU: what compiles, what is said of what does not, and what a kernel's code shows."""

from importlib.resources import files

import pytest

from symgraph.errors import DeviceError
from symgraph.runtime import nvrtc

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not nvrtc.available(), reason="there is no NVRTC"),
]

PRELUDE = files("symgraph.codegen").joinpath("prelude.cu").read_text("utf-8")


def elementwise(value, name="k", number="float"):
    return f"""extern "C" __global__ void {name}(const {number}* __restrict__ x, {number}* __restrict__ y, int n) {{
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    y[i] = {value};
}}
SG_KERNEL({name})
"""


ROWS = """
extern "C" __global__ void rows(const float* x, float* y) {
  __shared__ float parts[64];
  float sum = x[threadIdx.x];
  for (int d = 16; d; d /= 2) sum += sg_shuffle_xor(sum, d);
  parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) __syncwarp();
  y[threadIdx.x] = parts[threadIdx.x % 32];
  __syncthreads();
}
SG_KERNEL(rows)
"""


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_it_compiles(architecture):
    text = PRELUDE + elementwise("tanhf(x[i]) * expf(-x[i]) + fmaf(x[i], x[i], erff(x[i]))")

    assert architecture in nvrtc.architectures()
    assert nvrtc.compiled(text, architecture).startswith(b"\x7fELF")
    assert f".target sm_{architecture}" in nvrtc.ptx(text, architecture)


def test_several_kernels_at_once():
    text = PRELUDE + "".join(elementwise(f"x[i] * {n}", f"k{n}") for n in range(5))

    assert [f"k{n}" for n in range(5)] == sorted(nvrtc.report(text, 80))
    assert nvrtc.compiled(text, 80) == nvrtc.compiled(text, 80)


def test_an_error_quotes_the_line():
    text = PRELUDE + elementwise("tanhh(x[i])")
    line = text.splitlines().index("    y[i] = tanhh(x[i]);") + 1

    with pytest.raises(DeviceError) as found:
        nvrtc.compiled(text, 90)
    assert str(found.value).startswith(
        nvrtc.version() + " does not compile the text for sm_90: NVRTC_ERROR_COMPILATION"
    )
    assert f'kernel.cu({line}): error: identifier "tanhh" is undefined' in str(found.value)
    assert "y[i] = tanhh(x[i]);" in str(found.value)


def test_an_architecture_that_is_gone():
    with pytest.raises(DeviceError, match=r"sm_20: .*\nit knows sm_75, .*sm_90"):
        nvrtc.compiled(PRELUDE + elementwise("x[i]"), 20)


def test_nothing_is_contracted_or_flushed():
    code = nvrtc.ptx(PRELUDE + elementwise("x[i] * x[i] / 3.0f + sqrtf(x[i])"), 90)

    assert "mul.rn.f32" in code and "add.rn.f32" in code
    assert "div.rn.f32" in code and "sqrt.rn.f32" in code
    assert "fma." not in code and ".ftz" not in code


def test_report_of_rows():
    found = nvrtc.report(PRELUDE + ROWS + elementwise("x[i]"), 90)
    rows, plain = found["rows"], found["k"]

    assert (2, 256, 0, 0) == (rows.barriers, rows.shared, rows.stack, rows.spilled)
    assert (0, 0, 1, 1) == (plain.barriers, plain.shared, plain.loads, plain.stores)
    assert 0 < plain.registers < 64


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("number, size", [("float", 4), ("double", 2), ("unsigned short", 8), ("bool", 16)])
def test_wide_accesses_are_seen(architecture, number, size):
    wide = f"sg_store(y + {size} * i, sg_load<{number}, {size}>(x + {size} * i))"
    some = nvrtc.report(
        PRELUDE + elementwise("x[i]").replace("y[i] = x[i]", wide).replace("float", number), architecture
    )
    none = nvrtc.report(PRELUDE + elementwise("x[i]", number=number), architecture)

    assert (1, 1) == (some["k"].loads, some["k"].wide_loads)
    assert (1, 1) == (some["k"].stores, some["k"].wide_stores)
    assert (0, 0) == (none["k"].wide_loads, none["k"].wide_stores)
    assert 1 <= none["k"].loads


def test_a_double_that_slipped_in_is_seen():
    right = nvrtc.report(PRELUDE + elementwise("x[i] * 0.1f"), 90)["k"]
    wrong = nvrtc.report(PRELUDE + elementwise("x[i] * 0.1"), 90)["k"]

    assert 0 == right.doubles
    assert wrong.doubles >= 2


def test_spills_are_seen():
    count = 300
    body = "".join(f"float v{n} = x[{n} * n];" for n in range(count))
    body += "__syncthreads();" + "".join(f"y[{n} * n] = v{n} + v{(n * 7 + 3) % count};" for n in range(count))
    text = f'extern "C" __global__ void k(const float* x, float* y, int n) {{ {body} }}'

    assert nvrtc.report(text, 90)["k"].spilled > 0


def test_where_nothing_is_installed(monkeypatch, tmp_path):
    for name in ("CUDA_PATH", "CUDA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(nvrtc, "_library", lambda: None)

    assert not nvrtc.available()
    with pytest.raises(DeviceError, match="install the package nvidia-cuda-nvrtc"):
        nvrtc.compiled("", 90)


def test_where_it_is_looked_for(tmp_path):
    wheel, toolkit = tmp_path / "site", tmp_path / "toolkit"
    for path in (
        wheel / "nvidia/cu12/lib/libnvrtc.so.12",
        wheel / "nvidia/cu13/lib/libnvrtc.so.13",
        wheel / "nvidia/cu13/lib/libnvrtc.alt.so.13",
        toolkit / "lib64/libnvrtc.so.9",
        toolkit / "lib64/libnvrtc.so.10.2",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = list(nvrtc._candidates([str(wheel)], {"CUDA_PATH": str(toolkit)}))

    assert [
        str(wheel / "nvidia/cu13/lib/libnvrtc.so.13"),
        str(wheel / "nvidia/cu12/lib/libnvrtc.so.12"),
        str(toolkit / "lib64/libnvrtc.so.10.2"),
        str(toolkit / "lib64/libnvrtc.so.9"),
    ] == found[:4]
