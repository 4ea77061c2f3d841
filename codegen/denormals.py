"""Kernels in which denormal numbers are 0, taken and given: x86 computes with them some thirty times slower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

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


def flushing(name: str, inside: str, machine: Machine) -> tuple[str, Sequence[str]]:
    """The text of the function of a kernel that calls another, ``inside``, while denormal numbers are 0, and what it
    declares. The thread computes after it as before."""
    mode = _MODES[_processor(machine)]
    call = f"call void @{inside}(ptr %table, i64 %begin, i64 %end)"
    lines = "\n".join(f"  {line}" for line in (*mode.begin, call, *mode.end, "ret void"))
    return (
        f"define void @{name}(ptr %table, i64 %begin, i64 %end) #0 {{\nentry:\n{lines}\n}}\n",
        mode.declared,
    )


def _processor(machine: Machine) -> str:
    name = machine.triple.partition("-")[0]
    return "aarch64" if name == "arm64" else name
