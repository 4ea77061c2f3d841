"""A plan as one module of LLVM IR: a function of sizes, arrays and memory, which needs nobody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.aot.calls import Calls
from symgraph.aot.constants import Constants
from symgraph.aot.lines import OUTSIDE, REFUSED, Lines, SizeWords
from symgraph.aot.places import Place
from symgraph.aot.products import Blas
from symgraph.aot.rooms import Rooms
from symgraph.aot.steps import Steps
from symgraph.codegen.llvm_factorizations import SINGULAR as IS_SINGULAR
from symgraph.codegen.llvm_printer import module
from symgraph.codegen.machine import Machine
from symgraph.graph.dims import Dim, Size
from symgraph.optimizations.plan import Plan

OK, SIZES, INDEX, SINGULAR = 0, 1, 2, 3
"""What the function gives back: where sizes do not fit, it has done nothing, and where an index was out of bounds or a
matrix has no result, what it has written of the results means nothing."""

LINE = 64
"""The memory may begin anywhere; what is used of it begins at a multiple of this."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The module, and what a caller has to know."""

    text: str
    constants: Constants
    """What is to be filled in, in the object file."""
    memory: Dim
    """Bytes that the function is given for what its steps leave to each other."""


def program(
    made: Plan,
    sizes: Sequence[Size],
    states: Mapping[str, np.ndarray[Any, Any]],
    name: str,
    machine: Machine,
    blas: Blas,
) -> Compiled:
    """The function of a C name: ``int name(sizes…, inputs…, states…, outputs…, memory)``, and for sizes that are known
    only at the call ``int64_t name_memory(sizes…)``.

    ``states`` are the last of what is given, and the last results take their place; what they begin with are constants
    that others see, by their names.
    """
    lines, rooms = Lines(), Rooms()
    calls = Calls(lines, rooms, machine)
    steps = Steps(calls, blas)
    for size in sizes:
        lines.require_least(size, 0)
    pointers = [f"%given{n}" for n in range(len(made.given))]
    given = [Place.in_order(at, 0, x.shape, x.dtype) for at, x in zip(pointers, made.given, strict=True)]
    count = len(made.results) - len(states)
    targets = [Place.in_order(f"%out{n}", 0, x.shape, x.dtype) for n, x in enumerate(made.results[:count])]
    fresh = [calls.array(x.shape, x.dtype) for x in made.results[count:]]
    steps.add(made, given, [*targets, *(place for _, place in fresh)])
    for state, (room, place) in zip(given[len(given) - len(states) :], fresh, strict=True):
        for own, other in zip(state.shape, place.shape, strict=True):
            lines.require_equal(other, own)
        calls.copy(place, state)
        room.last = rooms.now
    for each, value in states.items():
        calls.constants.show(f"{name}_initial_{each}", value.tobytes())
    placed, end = rooms.placed()
    registers = {size: f"%size{n}" for n, size in enumerate(sizes)}
    params = [f"i64 {each}" for each in registers.values()]
    every = [
        *params,
        *(f"ptr {at}" for at in (*pointers, *(x.pointer for x in targets))),
        "ptr %given.memory",
    ]
    body = lines.text(registers, placed)
    text = [
        module(list(calls.natives.values()), machine).replace("define void @", "define internal void @"),
        *sorted(calls.declared),
        "declare i64 @llvm.ctlz.i64(i64, i1)",
        *calls.constants.lines,
        f"define i32 @{name}({', '.join(every)}) #0 {{",
        "entry:",
        f"  %table = alloca [{max(calls.words, 1)} x i64], align 64",
        "  %trouble = alloca i64, align 8",
        "  store i64 0, ptr %trouble",
        "  %begin = ptrtoint ptr %given.memory to i64",
        "  %negative = sub i64 0, %begin",
        f"  %missing = and i64 %negative, {LINE - 1}",
        "  %memory = getelementptr i8, ptr %given.memory, i64 %missing",
        *body,
        f"  ret i32 {OK}",
        f"{REFUSED}:",
        f"  ret i32 {SIZES}",
        f"{OUTSIDE}:",
        "  %met = load i64, ptr %trouble",
        f"  %is.singular = icmp eq i64 %met, {IS_SINGULAR}",
        f"  %status = select i1 %is.singular, i32 {SINGULAR}, i32 {INDEX}",
        "  ret i32 %status",
        "}",
    ]
    memory: Dim = 0 if isinstance(end, int) and end == 0 else end + LINE
    if not isinstance(memory, int):
        words = SizeWords(registers)
        asked = words.of(memory)
        text += [
            f"define i64 @{name}_memory({', '.join(params)}) #0 {{",
            *words.lines,
            f"  ret i64 {asked}",
            "}",
        ]
    return Compiled("\n".join([*text, ""]), calls.constants, memory)
