"""Kernels of CUDA text on the CPU: `emulator.h` and a C++ compiler are a device that is slow and strict."""

from __future__ import annotations

import atexit
import ctypes
import functools
import mmap
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DeviceError, DTypeError
from symgraph.runtime.cache import Cache, folder

Array = np.ndarray[Any, Any]
Argument = Array | np.generic | int

_OPTIONS = (
    "-std=c++17 -O0 -w -shared -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-strict-aliasing "
    "-U_FORTIFY_SOURCE"  # whose longjmp refuses to go to another stack
)
_SANITIZED = (
    "-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -DSG_SANITIZED"
)


class Emulator:
    """The kernels of a text, which says ``SG_KERNEL(name)`` behind each.

    A ``sanitized`` one ends the process at an access outside an array or another thing that C++ leaves undefined, with
    the line; the process must have begun with `sanitizer` in ``LD_PRELOAD``.
    """

    def __init__(self, text: str, *, sanitized: bool = False, store: Cache | None = None) -> None:
        self._library = _loaded(text, sanitized, store or Cache(folder()))
        self._kernels: dict[str, _Kernel] = {}

    def parameters(self, name: str) -> tuple[str, ...]:
        """The types of a kernel's parameters: ``f4`` or ``i8``, ``f4*`` and ``const f4*``."""
        return self._kernel(name).parameters

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        shared: int,
        arguments: Sequence[Argument],
        seed: int = 0,
    ) -> None:
        """Run a kernel by so many blocks of so many threads, with ``shared`` bytes that its blocks share.

        For a pointer the argument is an array or an address, for a number a NumPy scalar of its dtype. The ``seed``
        draws the order of blocks, warps and lanes; 0 takes each as it is numbered. Raises DeviceError where a kernel
        does what CUDA does not define, or no device launches it. A kernel that waits in a loop never returns.
        """
        kernel = self._kernel(name)
        if len(arguments) != len(kernel.parameters):
            taken = f"{len(kernel.parameters)} arguments ({', '.join(kernel.parameters)})"
            raise ArgumentError(f"{name} takes {taken}, not {len(arguments)}")
        values = [
            _word(name, i, *each) for i, each in enumerate(zip(kernel.parameters, arguments, strict=True))
        ]
        words = (ctypes.c_void_p * len(values))(*[each.ctypes.data for each in values])
        with _LOCK:
            said = kernel.function(words, _three(grid), _three(block), shared, seed, ctypes.byref(_stacks()))
        if said is not None:
            raise DeviceError(said.decode(errors="replace"))

    def _kernel(self, name: str) -> _Kernel:
        if name not in self._kernels:
            try:
                function = self._library[f"{name}_launch"]
                parameters = self._library[f"{name}_parameters"]
            except AttributeError:
                raise ArgumentError(f"the text has no kernel {name!r}") from None
            sizes = ctypes.POINTER(ctypes.c_uint32)
            function.argtypes = [
                ctypes.c_void_p,
                sizes,
                sizes,
                ctypes.c_size_t,
                ctypes.c_uint64,
                ctypes.c_void_p,
            ]
            function.restype = parameters.restype = ctypes.c_char_p
            types = parameters().decode()
            self._kernels[name] = _Kernel(function, tuple(types.split(", ")) if types else ())
        return self._kernels[name]


@dataclass(frozen=True, slots=True)
class _Kernel:
    function: Any
    parameters: tuple[str, ...]


_LOCK = threading.Lock()
"""One launch at a time: all have the same stacks."""


class _Stacks(ctypes.Structure):
    _fields_ = (("memory", ctypes.c_void_p), ("owner", ctypes.c_void_p))


@functools.cache
def _stacks() -> _Stacks:
    """Memory for 1,024 threads, which is none before they use it."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    pages = mmap.mmap(-1, 1024 * _STACK, flags=flags)
    made = _Stacks(ctypes.addressof(ctypes.c_char.from_buffer(pages)), None)
    made.pages = pages
    return made


_STACK = 256 << 10


def _three(sizes: Sequence[int]) -> Any:
    """Sizes along three axes, those that are left out 1; one that no device has stays so."""
    if len(sizes) > 3:
        raise ArgumentError(f"a grid and a block have 3 axes, not {len(sizes)}")
    return (ctypes.c_uint32 * 3)(*[each if 0 <= each < 1 << 32 else 0 for each in (*sizes, 1, 1)[:3]])


def _word(name: str, i: int, parameter: str, argument: Argument) -> Array:
    """An argument's own bytes."""
    if isinstance(argument, np.ndarray) and parameter.endswith("*"):
        wanted = parameter.removeprefix("const ").removesuffix("*")
        if wanted not in ("V1", *_codes(argument.dtype)):
            raise DTypeError(
                f"{name}: argument {i} is an array of {argument.dtype}, the kernel takes {parameter}"
            )
        if not parameter.startswith("const ") and not argument.flags.writeable:
            raise ArgumentError(f"{name}: argument {i} is read-only, the kernel takes {parameter}")
        return np.array(argument.ctypes.data, np.uintp)
    if isinstance(argument, int) and not isinstance(argument, bool) and parameter.endswith("*"):
        return np.array(argument, np.uintp)
    if isinstance(argument, np.generic) and not parameter.endswith("*"):
        if parameter not in _codes(argument.dtype):
            raise DTypeError(f"{name}: argument {i} is {argument.dtype}, the kernel takes {parameter}")
        return np.array(argument)
    raise ArgumentError(
        f"{name}: argument {i} is of type {type(argument).__name__}, the kernel takes {parameter}"
    )


def _codes(dtype: np.dtype[Any]) -> tuple[str, ...]:
    """What C++ may call a dtype: 16-bit floats are their bits, complex numbers are structs."""
    size = dtype.itemsize
    if dtype.kind == "b":
        return ("b1", "u1")
    if dtype.kind == "c":
        return (f"V{size}",)
    return ("u2",) if dtype.name in ("float16", "bfloat16") else (f"{dtype.kind}{size}",)


# The compiler, and what it makes


@dataclass(frozen=True, slots=True)
class _Compiler:
    command: tuple[str, ...]
    options: tuple[str, ...]
    version: str


def available() -> bool:
    """Whether there is a C++ compiler."""
    return _compiler(os.environ.get("CXX"), os.environ.get("PATH")) is not None


def sanitizer() -> str:
    """The library that a process must begin with for sanitized emulators."""
    compiler = _found()
    name = "libasan.so"
    if "clang" in compiler.version.lower():
        name = f"libclang_rt.asan-{platform.machine()}.so"
    done = subprocess.run(
        [*compiler.command, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _found() -> _Compiler:
    compiler = _compiler(os.environ.get("CXX"), os.environ.get("PATH"))
    if compiler is None:
        raise DeviceError(
            "CUDA's text runs on the CPU through a C++ compiler of Linux or macOS, and there is none: "
            "install g++ or clang++, or name one by the variable CXX"
        )
    return compiler


@functools.cache
def _compiler(given: str | None, path: str | None) -> _Compiler | None:
    """The first that works of what is ``given`` and the usual names on the ``path``."""
    for name in (given, "c++", "g++", "clang++") if os.name == "posix" else ():
        command = tuple(shlex.split(name or ""))
        if not command or shutil.which(command[0], path=path) is None:
            continue
        for native in (("-march=native",), ()):
            macros = _macros((*command, *native))
            if macros is not None:
                # elsewhere fmaf is a function of the C library, or always an instruction
                options = ("-mfma",) if "__FMA__" in macros and "__x86_64__" in macros else ()
                version = f"{shlex.join(command)} {macros.get('__VERSION__')} {platform.platform()}"
                return _Compiler(command, options, version)
    return None


def _macros(command: Sequence[str]) -> Mapping[str, str] | None:
    """What a compiler defines on this machine; None where it does not run."""
    try:
        done = subprocess.run(
            [*command, "-dM", "-E", "-x", "c++", "-"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    if done.returncode:
        return None
    words = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return {each[1]: each[2] if len(each) > 2 else "" for each in words if len(each) > 1}


def _loaded(text: str, sanitized: bool, store: Cache) -> ctypes.CDLL:
    """The library of a text, from disk if it is there."""
    compiler = _found()
    options = (*_OPTIONS.split(), *compiler.options, *(_SANITIZED.split() if sanitized else ()))
    header = files("symgraph.runtime").joinpath("emulator.h").read_text("utf-8")
    key = "\n".join(["emulator", compiler.version, *options, header, text])
    code = store.get(key)
    place = Path(tempfile.mkdtemp(prefix="symgraph-"))
    try:
        if code is None:
            (place / "emulator.h").write_text(header, "utf-8")
            (place / "kernel.cu").write_text(text, "utf-8")
            _compile([*compiler.command, *options], place)
            store.put(key, (place / "kernel.so").read_bytes())
        else:
            (place / "kernel.so").write_bytes(code)
        return ctypes.CDLL(str(place / "kernel.so"))
    except OSError as error:
        raise DeviceError(f"kernels cannot be compiled and loaded on this machine: {error}") from error
    finally:
        if sanitized:  # whose reports read the lines from there
            atexit.register(shutil.rmtree, place, ignore_errors=True)
        else:
            shutil.rmtree(place, ignore_errors=True)


def _compile(command: Sequence[str], place: Path) -> None:
    files = ["-include", "emulator.h", "-x", "c++", "kernel.cu", "-o", "kernel.so"]
    done = subprocess.run(
        [*command, *files], cwd=place, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        raise DeviceError(f"{command[0]} does not compile the text:\n{done.stderr.strip()}")
