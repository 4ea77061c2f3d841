"""NVRTC, NVIDIA's compiler of CUDA's text, by ctypes alone: it needs neither a GPU nor a driver, nor headers."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from symgraph.errors import DeviceError

ARCHITECTURES = (75, 80, 90, 100, 120)
"""What every text must compile for: one of each family that NVIDIA supports."""

OPTIONS = ("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")
"""Each operation is rounded as IEEE 754 says, by itself."""


def available() -> bool:
    """Whether there is NVRTC."""
    return _library() is not None


def version() -> str:
    """What makes the code."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _found().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"NVRTC {major.value}.{minor.value}"


def architectures() -> tuple[int, ...]:
    """What this NVRTC compiles for, 90 for ``sm_90``."""
    library, count = _found(), ctypes.c_int()
    library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    numbers = (ctypes.c_int * count.value)()
    library.nvrtcGetSupportedArchs(numbers)
    return tuple(numbers)


def compiled(text: str, architecture: int) -> bytes:
    """The cubin of a text, which a driver loads on devices of the architecture.

    Raises DeviceError with NVRTC's words and the line for a text that does not compile.
    """
    return _compile(text, architecture, "sm", "CUBIN")[0]


def ptx(text: str, architecture: int) -> str:
    """The text's code for NVIDIA's virtual machine, to read."""
    return _compile(text, architecture, "compute", "PTX")[0].rstrip(b"\0").decode()


@dataclass(frozen=True, slots=True)
class Report:
    """What a kernel needs, and what its code does."""

    registers: int
    """Of a thread."""
    stack: int
    """Bytes of a thread's own memory, which is slow."""
    spilled: int
    """Bytes that are stored and loaded because there are not enough registers."""
    shared: int
    """Bytes of a block, besides those that the launch asks for."""
    doubles: int
    """Instructions on float64."""
    wide_loads: int
    """Loads of at least 16 bytes at once from global memory."""
    wide_stores: int
    """The same of stores."""
    loads: int
    """All loads from global memory."""
    stores: int
    barriers: int
    """Of a block; those of a warp do not count."""


def report(text: str, architecture: int) -> dict[str, Report]:
    """What is known of each kernel without running it."""
    _, log = _compile(text, architecture, "sm", "CUBIN", "--ptxas-options=-v")
    bodies = _entries(ptx(text, architecture))
    return {name: _report(said, bodies.get(name, "")) for name, said in _functions(log) if name in bodies}


_WIDE = r"(?:v[48]\.[bfsu]32|v[24]\.[bfsu]64|v8\.[bfsu]16|b128)\b"


def _report(log: str, body: str) -> Report:
    def said(pattern: str) -> int:
        return sum(int(each) for each in re.findall(pattern, log))

    def done(pattern: str) -> int:
        return len(re.findall(rf"^\s*(?:@!?%p\d+\s+)?{pattern}", body, re.M))

    return Report(
        registers=said(r"Used (\d+) registers"),
        stack=said(r"(\d+) bytes stack frame"),
        spilled=said(r"(\d+) bytes spill"),
        shared=said(r"(\d+) bytes smem"),
        doubles=done(r"(?!\.)[\w.]*\.f64\b"),
        wide_loads=done(rf"ld\.(?:[\w:]+\.)*global\.(?:[\w:]+\.)*{_WIDE}"),
        wide_stores=done(rf"st\.(?:[\w:]+\.)*global\.(?:[\w:]+\.)*{_WIDE}"),
        loads=done(r"ld\.(?:[\w:]+\.)*global\."),
        stores=done(r"st\.(?:[\w:]+\.)*global\."),
        barriers=done(r"(?:bar|barrier(?:\.cta)?)\.(?:sync|red)\b"),
    )


def _functions(log: str) -> Iterator[tuple[str, str]]:
    """What the assembler says of each function."""
    parts = re.split(r"Compiling entry function '([^']+)'", log)
    return zip(parts[1::2], parts[2::2], strict=True)


def _entries(code: str) -> dict[str, str]:
    """The kernels of PTX by their names."""
    parts = re.split(r"\.entry\s+([\w$]+)", code)
    return {name: body.split("\n}", 1)[0] for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _compile(text: str, architecture: int, kind: str, what: str, *more: str) -> tuple[bytes, str]:
    """What NVRTC makes of a text for an architecture of a kind, and what it says."""
    library, program = _found(), ctypes.c_void_p()
    options = [*OPTIONS, f"--gpu-architecture={kind}_{architecture}", *more]
    given = (ctypes.c_char_p * len(options))(*[each.encode() for each in options])
    library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    try:
        failed = library.nvrtcCompileProgram(program, len(options), given)
        log = _read(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if failed:
            raise DeviceError(_complaint(library, failed, log, text, architecture))
        return _read(library, program, what), log
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _read(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    library[f"nvrtcGet{what}Size"](program, ctypes.byref(size))
    room = ctypes.create_string_buffer(size.value)
    library[f"nvrtcGet{what}"](program, room)
    return room.raw[: size.value]


def _complaint(library: ctypes.CDLL, failed: int, log: str, text: str, architecture: int) -> str:
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    message = f"{version()} does not compile the text for sm_{architecture}: " + (
        library.nvrtcGetErrorString(failed).decode()
    )
    if architecture not in architectures():
        return f"{message}\nit knows {', '.join(f'sm_{each}' for each in architectures())}"
    lines = text.splitlines()
    place = re.search(r"\((\d+)\): (?:catastrophic )?error", log)
    if place and 0 < int(place[1]) <= len(lines) and lines[int(place[1]) - 1].strip() not in log:
        message += f"\nline {place[1]}: {lines[int(place[1]) - 1].strip()}"
    return f"{message}\n{log.strip()}"


def _found() -> ctypes.CDLL:
    library = _library()
    if library is None:
        raise DeviceError(
            "NVRTC is not there, which compiles CUDA's text: install the package nvidia-cuda-nvrtc, "
            "or the CUDA toolkit and name its folder by the variable CUDA_PATH"
        )
    return library


@functools.cache
def _library() -> ctypes.CDLL | None:
    for path in _candidates(sys.path, os.environ):
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return None


def _candidates(path: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Where NVRTC may be: in a wheel, in a toolkit, or where the system looks; of one place the newest first."""
    places = [(Path(each), "nvidia/*/") for each in path]
    places += [(Path(environment[each]), "") for each in ("CUDA_PATH", "CUDA_HOME") if each in environment]
    places += [(Path(sys.prefix), ""), (Path("/usr/local/cuda"), "")]
    for base, inner in places:
        for pattern in ("lib/libnvrtc.so.*", "lib64/libnvrtc.so.*", "bin/**/nvrtc64_*.dll"):
            found = [each for each in base.glob(inner + pattern) if ".alt" not in each.name]
            yield from map(str, sorted(found, key=_number, reverse=True))
    system = ctypes.util.find_library("nvrtc")
    if system:
        yield system


def _number(path: Path) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", path.name))
