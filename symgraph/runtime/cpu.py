"""Text becomes machine code of this process: what LLVM makes, and what loads it.

LLVM is imported where something has to be compiled, for that takes as long as half of a first result.
"""

from __future__ import annotations

import marshal
import os
import re
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from symgraph.errors import ArgumentError
from symgraph.runtime import elf
from symgraph.runtime.cache import Cache, folder
from symgraph.runtime.identity import identity, may_use_tiles

if TYPE_CHECKING:
    from symgraph.codegen.machine import Machine


@cache
def _llvm() -> Any:
    """llvmlite's binding of LLVM, ready for this processor."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm


def host() -> Machine:
    """The machine that this process runs on."""
    return _known()[0]


def version() -> str:
    """What makes the code."""
    return _known()[1]


@cache
def _known() -> tuple[Machine, str]:
    """The machine, and what makes code for it."""
    machine, text = _found()
    if machine.tiles and not may_use_tiles():
        machine = _as_machine(*(getattr(machine, each) for each in _FIELDS if each != "tiles"))
    return machine, text


def _found() -> tuple[Machine, str]:
    """As another process has found it, where there was one."""
    name, disk = identity(), Cache(folder())
    key = f"machine of {name}"
    content = disk.get(key) if name is not None else None
    if content is not None and (found := _read(content)) is not None:
        return found
    machine, text = _machine(), _version()
    if name is not None:
        disk.put(key, marshal.dumps((*(getattr(machine, each) for each in _FIELDS), text)))
    return machine, text


_FIELDS = ("triple", "cpu", "features", "bytes", "fma", "masks", "tiles")


def _read(content: bytes) -> tuple[Machine, str] | None:
    """What was written; None for anything else."""
    try:
        *fields, text = marshal.loads(content)
        if [*map(type, fields), type(text)] != [str, str, str, int, bool, bool, bool, str]:
            return None
    except (ValueError, TypeError, EOFError):
        return None
    return _as_machine(*fields), text


def _machine() -> Machine:
    llvm = _llvm()
    features = llvm.get_host_cpu_features()
    triple = llvm.get_default_triple()
    masks = all(features.get(each) for each in ("avx512f", "avx512vl", "avx512dq", "avx512bw"))
    width = 64 if masks else 32 if features.get("avx2") else 16
    fma = bool(features.get("fma")) or triple.startswith(("aarch64", "arm64"))
    tiles = masks and all(features.get(each) for each in ("amx-tile", "amx-bf16"))
    return _as_machine(triple, llvm.get_host_cpu_name(), features.flatten(), width, fma, masks, tiles)


def _version() -> str:
    import llvmlite

    llvm = _llvm()
    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


class MissingText(Exception):
    """A module calls functions that have no text."""


def compiled(text: str, level: int = 0) -> bytes:
    """The object file of a module; a ``level`` from 0 (soon made) to 3 says how much thought its code is worth.

    Raises RuntimeError for text that is no module, and MissingText where LLVM has to make some of it, which does not
    know code that is ready.
    """
    if level == 0:
        from symgraph.codegen.x86 import assembled
        from symgraph.codegen.x86_ready import marked

        known = assembled(text) if host().is_assembled else None
        if known is not None and known.is_whole:
            return known.object_file
        if marked(text):
            raise MissingText
        text = known.text if known is not None else text
    is_near = level > 0 and elf.is_known() and not _OUTSIDE.search(text)
    with _parsed(text) as module:
        code: bytes = _target_machine(host(), level, is_near=is_near).emit_object(module)
    return code


_OUTSIDE = re.compile(r"^declare [^@]*@(?!llvm\.)", re.MULTILINE)
"""What a module takes from elsewhere, which may lie too far away for the shorter form of an address."""


def machine_of(cpu: str | None, triple: str | None) -> Machine:
    """A processor by LLVM's names for it and for its system; this one for None.

    Raises ArgumentError for names that LLVM does not know.
    """
    if cpu is None and triple is None:
        return host()
    llvm = _llvm()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = triple or host().triple
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError as error:
        raise ArgumentError(f"LLVM knows no system {triple!r}: {str(error).strip()}") from None
    cpu = cpu or "generic"
    said = _said(lambda: target.create_target_machine(cpu=cpu, opt=2).emit_assembly(llvm.parse_assembly("")))
    if "not a recognized processor" in said:
        raise ArgumentError(f"LLVM knows no processor {cpu!r} for {triple}")
    wider = ((64, "zmm"), (32, "ymm"))
    width = next((size for size, name in wider if name in _tried(target, triple, cpu, size // 4)), 16)
    body = _tried(target, triple, cpu, 4)
    return _as_machine(
        triple, cpu, "", width, "vfmadd" in body or "fmla" in body, width == 64 and "{%k" in body
    )


def _as_machine(*fields: Any) -> Machine:
    from symgraph.codegen.machine import Machine

    return Machine(*fields)


_TRIED = """target triple = "{triple}"
define void @tried(ptr %x, ptr %y, <4 x i1> %some) #0 {{
  %a = load <{lanes} x float>, ptr %x
  %b = load <4 x float>, ptr %y
  %c = fadd <{lanes} x float> %a, %a
  store <{lanes} x float> %c, ptr %x
  %d = call <4 x float> @llvm.fma.v4f32(<4 x float> %b, <4 x float> %b, <4 x float> %b)
  call void @llvm.masked.store.v4f32.p0(<4 x float> %d, ptr %y, i32 4, <4 x i1> %some)
  ret void
}}
declare <4 x float> @llvm.fma.v4f32(<4 x float>, <4 x float>, <4 x float>)
declare void @llvm.masked.store.v4f32.p0(<4 x float>, ptr, i32, <4 x i1>)
attributes #0 = {{ "prefer-vector-width"="512" "min-legal-vector-width"="512" }}
"""


def _tried(target: Any, triple: str, cpu: str, lanes: int) -> str:
    """The code of an addition of so many lanes, a product and a sum in one, and a store of some lanes: what a processor
    makes of them tells what it has."""
    llvm = _llvm()
    text = _TRIED.format(triple=triple, lanes=lanes)
    found: str = target.create_target_machine(cpu=cpu, opt=2).emit_assembly(llvm.parse_assembly(text))
    return found


_SAYING = threading.Lock()


def _said(what: Callable[[], object]) -> str:
    """What LLVM writes to this process's errors meanwhile: it has no other way to say that it knows no processor."""
    import tempfile

    sys.stderr.flush()
    with _SAYING, tempfile.TemporaryFile() as file:
        errors = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            what()
        finally:
            os.dup2(errors, 2)
            os.close(errors)
        file.seek(0)
        return file.read().decode(errors="replace")


def object_file(text: str, machine: Machine) -> bytes:
    """The code of a module for any machine, which may lie anywhere in memory."""
    llvm = _llvm()
    target = llvm.Target.from_triple(machine.triple)
    made = target.create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=2, reloc="pic", codemodel="small"
    )
    with llvm.parse_assembly(f'target triple = "{machine.triple}"\n{text}') as module:
        module.verify()
        code: bytes = made.emit_object(module)
    return code


def assembly(text: str, level: int = 2) -> str:
    """The code of a module to read."""
    with _parsed(text) as module:
        found: str = _target_machine(host(), level).emit_assembly(module)
    return found


def _parsed(text: str) -> Any:
    module = _llvm().parse_assembly(text)
    module.verify()
    return module


_LOCAL = threading.local()


def _target_machine(machine: Machine, level: int, *, is_near: bool = False) -> Any:
    """One for each thread and level: threads must not share them. Where all that a module needs ``is_near``, constants
    lie a short address away; else loops, which have more of them than registers for their addresses, make these anew in
    every turn."""
    made: dict[tuple[int, bool], Any] = _LOCAL.__dict__.setdefault("made", {})
    if (level, is_near) not in made:
        target = _llvm().Target.from_triple(machine.triple)
        how = {"reloc": "pic", "codemodel": "small"} if is_near else {"jit": True}
        made[level, is_near] = target.create_target_machine(
            cpu=machine.cpu, features=machine.features, opt=level, **how
        )
    return made[level, is_near]


class Loader:
    """Object files as code of this process, which stays to its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses: dict[str, int] = {}
        self._engine: Any = None

    def load(self, code: bytes) -> None:
        """Make the functions of an object file known by their names, which must be new."""
        with self._lock:
            try:
                self._addresses |= elf.load(code, self._addresses)
            except elf.NotLoaded:
                self._load(code)

    def _load(self, code: bytes) -> None:
        """The same by LLVM, which knows every system."""
        llvm = _llvm()
        if self._engine is None:
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine(host(), 2))
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function begins; raises KeyError for one that is not known."""
        with self._lock:
            found = self._addresses.get(name, 0)
            if not found and self._engine is not None:
                found = self._engine.get_function_address(name)
        if not found:
            raise KeyError(name)
        return int(found)
