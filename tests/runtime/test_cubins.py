"""Cubins are compiled once for each text and architecture, and kept for the next process."""

import threading
from importlib.resources import files

import pytest

from symgraph.errors import DeviceError
from symgraph.runtime import nvrtc
from symgraph.runtime.cache import Cache
from symgraph.runtime.cubins import Cubins, nearest

pytestmark = pytest.mark.cuda_text

TEXT = """
extern "C" __global__ void k(const float* x, float* y) {
  y[threadIdx.x] = 2.0f * x[threadIdx.x];  // train.py:3
}
SG_KERNEL(k)
"""


@pytest.fixture
def compiler(monkeypatch):
    """What is compiled, in place of NVRTC."""
    asked = []

    def compiled(text, architecture):
        asked.append((text, architecture))
        return f"{architecture}: {text}".encode()

    monkeypatch.setattr(nvrtc, "version", lambda: "NVRTC 13.0")
    monkeypatch.setattr(nvrtc, "architectures", lambda: (75, 80, 86, 90, 100, 120))
    monkeypatch.setattr(nvrtc, "compiled", compiled)
    return asked


def test_a_text_is_compiled_once(compiler, tmp_path):
    cubins = Cubins(Cache(tmp_path))

    assert cubins.of(TEXT, 90) is cubins.of(TEXT, 90)
    assert [(TEXT, 90)] == compiler
    assert cubins.of(TEXT, 80) != cubins.of(TEXT, 90)
    assert cubins.of(TEXT.replace("2.0f", "3.0f"), 90) != cubins.of(TEXT, 90)
    assert 3 == len(compiler)


def test_the_next_process_finds_it(compiler, tmp_path):
    first = Cubins(Cache(tmp_path)).of(TEXT, 90)

    assert first == Cubins(Cache(tmp_path)).of(TEXT, 90)
    assert 1 == len(compiler)


def test_the_users_lines_are_no_part_of_the_key(compiler, tmp_path):
    cubins = Cubins(Cache(tmp_path))

    assert cubins.of(TEXT, 90) is cubins.of(TEXT.replace("train.py:3", "other.py:40"), 90)
    assert 1 == len(compiler)


def test_another_compiler_and_other_options_compile_again(compiler, monkeypatch, tmp_path):
    Cubins(Cache(tmp_path)).of(TEXT, 90)
    monkeypatch.setattr(nvrtc, "version", lambda: "NVRTC 13.1")
    Cubins(Cache(tmp_path)).of(TEXT, 90)
    monkeypatch.setattr(nvrtc, "OPTIONS", (*nvrtc.OPTIONS, "--lineinfo"))
    Cubins(Cache(tmp_path)).of(TEXT, 90)

    assert 3 == len(compiler)


def test_no_folder_is_no_error(compiler):
    assert Cubins(Cache(None)).of(TEXT, 90)


def test_a_process_does_not_remember_for_ever(compiler, monkeypatch):
    monkeypatch.setattr("symgraph.runtime.cubins._KNOWN", 3)
    cubins = Cubins(Cache(None))
    for n in range(10):
        cubins.of(f"{TEXT}\nint x{n};", 90)

    assert len(cubins._known) <= 3


def test_threads_that_want_the_same_wait_for_it(compiler, tmp_path):
    cubins, found = Cubins(Cache(tmp_path)), []
    threads = [threading.Thread(target=lambda: found.append(cubins.of(TEXT, 90))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8 == len(found)
    assert 1 == len(compiler) == len(set(found))


def test_the_nearest_architecture(compiler):
    assert {75: 75, 80: 80, 86: 86, 89: 86, 90: 90, 100: 100, 103: 100, 121: 120} == {
        each: nearest(each) for each in (75, 80, 86, 89, 90, 100, 103, 121)
    }


@pytest.mark.parametrize("capability", [70, 72, 61, 110])
def test_no_architecture(compiler, capability):
    with pytest.raises(DeviceError, match=r"compiles for sm_75, .*, and the GPU is of compute capability"):
        nearest(capability)


@pytest.mark.skipif(not nvrtc.available(), reason="there is no NVRTC")
def test_what_nvrtc_makes(tmp_path):
    prelude = files("symgraph.codegen").joinpath("prelude.cu").read_text("utf-8")
    cubins = Cubins(Cache(tmp_path))

    assert cubins.of(prelude + TEXT, 90).startswith(b"\x7fELF")
    with pytest.raises(DeviceError, match=r"train\.py:3"):
        cubins.of(prelude + TEXT.replace("2.0f", "two"), 90)
    with pytest.raises(DeviceError):  # what fails is not kept
        cubins.of(prelude + TEXT.replace("2.0f", "two"), 90)
