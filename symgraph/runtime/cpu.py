"""LLVM: text becomes machine code of this process."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from symgraph.codegen.machine import Machine


@cache
def host() -> Machine:
    """The machine that this process runs on."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    triple = llvm.get_default_triple()
    masks = all(features.get(each) for each in ("avx512f", "avx512vl", "avx512dq", "avx512bw"))
    width = 64 if masks else 32 if features.get("avx2") else 16
    fma = bool(features.get("fma")) or triple.startswith(("aarch64", "arm64"))
    return Machine(triple, llvm.get_host_cpu_name(), features.flatten(), width, fma, masks)


@cache
def version() -> str:
    """What makes the code."""
    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


def compiled(text: str, level: int = 0) -> bytes:
    """The object file of a module; a ``level`` from 0 (soon made) to 3 says how much thought its code is worth.

    Raises RuntimeError for text that is no module.
    """
    with _parsed(text) as module:
        code: bytes = _target_machine(host(), level).emit_object(module)
    return code


def assembly(text: str, level: int = 2) -> str:
    """The code of a module to read."""
    with _parsed(text) as module:
        found: str = _target_machine(host(), level).emit_assembly(module)
    return found


def _parsed(text: str) -> Any:
    host()
    module = llvm.parse_assembly(text)
    module.verify()
    return module


_LOCAL = threading.local()


def _target_machine(machine: Machine, level: int) -> Any:
    """One for each thread and level: threads must not share them."""
    made: dict[int, Any] = _LOCAL.__dict__.setdefault("made", {})
    if level not in made:
        target = llvm.Target.from_triple(machine.triple)
        made[level] = target.create_target_machine(
            cpu=machine.cpu, features=machine.features, opt=level, jit=True
        )
    return made[level]


class Loader:
    """Object files as code of this process, which stays to its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Any = None

    def load(self, code: bytes) -> None:
        """Make the functions of an object file known by their names, which must be new."""
        with self._lock:
            if self._engine is None:
                host()
                target = _target_machine(host(), 2)
                self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function begins; raises KeyError for one that is not known."""
        with self._lock:
            found = self._engine.get_function_address(name) if self._engine is not None else 0
        if not found:
            raise KeyError(name)
        return int(found)
