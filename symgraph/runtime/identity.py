"""What decides how a program becomes code, in words that another process compares: sources, packages, the processor.

Nothing is imported for it. Where something is not known there are no words, and nothing of another process is taken.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from functools import cache
from importlib.util import find_spec

import ml_dtypes
import numpy as np

from symgraph.graph.digest import in_bytes
from symgraph.runtime.cache import digest

_SINCE = time.time_ns() - 5_000_000_000
"""What was changed later may be something else than what this process has imported."""
_FOLDERS = ("", "graph", "ops", "autodiff", "optimizations", "codegen", "runtime", "api")
"""Those that make code of a graph."""
_SOURCES = (".py", ".pyc", ".ll")
_MODALIAS, _CPUINFO = "/sys/devices/system/cpu/modalias", "/proc/cpuinfo"
_TELLING = ("vendor_id", "cpu family", "model", "stepping", "flags", "CPU", "Features")
"""What lines of the second begin with that say what a processor can do."""


@cache
def identity() -> str | None:
    """Of this process: the same where the same programs become the same code. None where that is not known, or where a
    source was changed about when this process began."""
    return _found()


_CHECKED = [0]
"""How many modules there were when the sources were looked at last."""


def is_unchanged() -> bool:
    """Whether that is still what this process has imported: no source was changed before it was read."""
    count = len(sys.modules)
    if count != _CHECKED[0]:
        if identity() is None or _found() != identity():
            return False
        _CHECKED[0] = count
    return True


def _found() -> str | None:
    found = _sources()
    machine, llvm = _processor(), _llvm()
    if found is None or machine is None or llvm is None:
        return None
    rows, newest = found
    if newest > _SINCE:
        return None
    packages = (sys.version, np.__version__, ml_dtypes.__version__, llvm)
    return digest(in_bytes((packages, machine, rows))).hex()


def _sources() -> tuple[list[tuple[str, int, int, int]], int] | None:
    """Every source with its size and when it was written and changed; and the latest of these."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    rows = []
    newest = 0
    for name in _FOLDERS:
        folder = os.path.join(home, name)
        if not os.path.isdir(folder):
            folder = os.path.join(os.path.dirname(home), name)  # a source tree without links
        try:
            for file in os.listdir(folder):
                if file.endswith(_SOURCES):
                    status = os.stat(f"{folder}/{file}")
                    newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
                    rows.append((f"{name}/{file}", status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        except OSError:
            return None
    return sorted(rows), newest


def _llvm() -> list[tuple[str, int, int]] | None:
    """The files of llvmlite that say which it is."""
    found = find_spec("llvmlite")
    if found is None or found.origin is None:
        return None
    home = os.path.dirname(found.origin)
    try:
        every = [f"{home}/_version.py", *(each.path for each in os.scandir(f"{home}/binding"))]
        status = [(path, os.stat(path)) for path in every if path.endswith((".py", ".so"))]
    except OSError:
        return None
    return sorted((path, each.st_size, each.st_mtime_ns) for path, each in status)


def _processor() -> list[str] | None:
    """What the system and NumPy know of it."""
    told: str | list[str] = ""
    with contextlib.suppress(OSError), open(_MODALIAS) as file:
        told = file.read()
    if not told:
        with contextlib.suppress(OSError), open(_CPUINFO) as file:
            first = file.read(1 << 13).partition("\n\n")[0]
            told = "\n".join(line for line in first.splitlines() if line.startswith(_TELLING))
    if not told:
        return None
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    told_of = [name for name, has in features.items() if has]
    return [os.uname().machine, told, *told_of, *(["tiles"] if may_use_tiles() else [])]


_ARCH_PRCTL, _REQUEST, _TILES = 158, 0x1023, 18


@cache
def may_use_tiles() -> bool:
    """Whether this process may multiply tiles on Intel's processors. Linux lets those which ask for it: it has to keep
    more of their threads (Documentation/arch/x86/xstate.rst)."""
    if not sys.platform.startswith("linux") or os.uname().machine != "x86_64":
        return False
    return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILES) == 0)
