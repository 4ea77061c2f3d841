"""Functions in which denormal numbers are 0, taken and given: x86 computes with them some thirty times slower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache as once
from typing import NamedTuple

from symgraph.codegen.llvm_printer import Native
from symgraph.codegen.machine import Machine


class _Mode(NamedTuple):
    """How a thread of a processor is told, in the language of LLVM."""

    begin: Sequence[str]
    end: Sequence[str]
    declared: Sequence[str]


_MODES: Mapping[str, _Mode] = {
    "x86_64": _Mode(
        [
            "%mode = alloca i32",
            "call void @llvm.x86.sse.stmxcsr(ptr %mode)",
            "%before = load i32, ptr %mode",
            f"%now = or i32 %before, {1 << 15 | 1 << 6}",
            "store i32 %now, ptr %mode",
            "call void @llvm.x86.sse.ldmxcsr(ptr %mode)",
        ],
        ["store i32 %before, ptr %mode", "call void @llvm.x86.sse.ldmxcsr(ptr %mode)"],
        ["declare void @llvm.x86.sse.stmxcsr(ptr)", "declare void @llvm.x86.sse.ldmxcsr(ptr)"],
    ),
    "aarch64": _Mode(
        [
            "%before = call i64 @llvm.aarch64.get.fpcr()",
            f"%now = or i64 %before, {1 << 24}",
            "call void @llvm.aarch64.set.fpcr(i64 %now)",
        ],
        ["call void @llvm.aarch64.set.fpcr(i64 %before)"],
        ["declare i64 @llvm.aarch64.get.fpcr()", "declare void @llvm.aarch64.set.fpcr(i64)"],
    ),
}
"""By the name of the processor in a triple: FTZ and DAZ of Intel's MXCSR, FZ of ARM's FPCR."""


def flushes(machine: Machine) -> bool:
    """Whether functions for a machine have to be told, and can be."""
    return machine.flushes and _processor(machine) in _MODES


def flushing(native: Native, machine: Machine) -> Native:
    """The same function under another name, in which denormal numbers are 0, if that is wanted of the machine, and it
    can be told; the thread computes after it as before."""
    if not flushes(machine):
        return native
    mode, name, slow = _MODES[_processor(machine)], f"{native.name}_flushing", native.slow
    inside, given = f"{name}_inside", "(ptr %table, i64 %begin, i64 %end)"
    text = native.text.replace(f"@{native.name}", f"@{name}")
    text = text.replace(
        f"define void @{name}{given} #0", f"define internal void @{inside}{given} noinline #0"
    )
    lines = "\n".join(
        f"  {line}" for line in (*mode.begin, f"call void @{inside}{given}", *mode.end, "ret void")
    )
    return Native(
        name,
        f"{text}\ndefine void @{name}{given} #0 {{\nentry:\n{lines}\n}}\n",
        frozenset(
            [*(line.replace(f"@{native.name}", f"@{name}") for line in native.declared), *mode.declared]
        ),
        None if slow is None else once(lambda: flushing(slow(), machine)),
    )


def _processor(machine: Machine) -> str:
    name = machine.triple.partition("-")[0]
    return "aarch64" if name == "arm64" else name
