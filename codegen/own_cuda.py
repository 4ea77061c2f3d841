"""CUDA C that users wrote for ops of their own, as device functions.

::

    static __device__ float sg_own_saturate_5f3a9c0d1e2f(const float x)
    {
        return (
    #line 1 "sg_own_saturate_5f3a9c0d1e2f"
    x / (1 + x)
        );
    }
    #line 1 "kernel.cu"

Compilers name the function and the line in it, from which `explained` finds what the user wrote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from symgraph.codegen.cuda_body import c_type
from symgraph.codegen.llvm_memory import computed_in
from symgraph.codegen.loops import LoopKernel
from symgraph.codegen.own_llvm import text_for, without_text
from symgraph.errors import DeviceError
from symgraph.graph.types import DType
from symgraph.ops.own_kernels import KernelOp
from symgraph.ops.own_scalar import ScalarOp

_SAID: dict[str, tuple[str, str]] = {}
"""By the names in ``#line``: whose text it is, and the text."""


def unwritten(kernel: LoopKernel) -> str | None:
    """The op of a user's that has no CUDA C for what a kernel does with it; None where there is none."""
    return without_text(kernel, lambda op: op.cuda)


def called(
    op: ScalarOp, args: Sequence[str], rows: Sequence[DType], row: DType, functions: dict[str, str]
) -> str:
    """The call of an op's function, which is added to ``functions``."""
    text = text_for(op.cuda, rows[0])
    assert text is not None, f"{op.name} of {rows[0]} has no text"
    kind, gives = c_type(computed_in(rows[0])), c_type(computed_in(row))
    text = text.replace("{T}", kind).replace("{R}", gives)
    parameters = ", ".join(f"const {kind} {x}" for x in op.parameters)
    digest = sha256(f"{gives} {parameters}\n{text}".encode()).hexdigest()[:12]
    name = f"sg_own_{op.name}_{digest}"
    is_body = re.search(r"\breturn\b", text) is not None
    begin, end = ("", "") if is_body else ("    return (\n", "    );\n")
    quoted = lined(name, f"{op.name} ({op.place})", text, f"{end}}}\n")
    functions[name] = f"static __device__ {gives} {name}({parameters})\n{{\n{begin}{quoted}"
    return f"{name}({', '.join(args)})"


def whole(op: KernelOp) -> tuple[str, str]:
    """The name that a user's kernel has beside others, and its text by that name."""
    digest = sha256(f"{op.function}\n{op.source}".encode()).hexdigest()[:12]
    name = f"sg_own_{op.function}_{digest}"
    quoted = lined(name, f"{op.name} ({op.place})", op.source)
    return name, re.sub(rf"\b{op.function}\b", name, quoted) + f"SG_KERNEL({name})\n"


def lined(name: str, whose: str, text: str, end: str = "") -> str:
    """A user's text and what ends it, of which compilers speak by this name."""
    _SAID[name] = whose, text
    return f'#line 1 "{name}"\n{text}\n{end}#line 1 "kernel.cu"\n'


def explained(error: DeviceError) -> DeviceError:
    """The same error; where it is about a user's text, in terms of that."""
    found = re.search(
        r"(sg_own_\w+)[:(](\d+)(?::\d+|\))?:\s*(?:fatal |catastrophic )?error\s*(?:#\d+)?:?\s*(.*)",
        str(error),
    )
    if found is None or found[1] not in _SAID:
        return error
    whose, text = _SAID[found[1]]
    lines = text.splitlines()
    number = min(int(found[2]), len(lines))  # what is missing is missed on the line behind the last
    line = lines[number - 1].strip()
    return DeviceError(f"the compiler refuses the CUDA text of {whose}, line {number}: {found[3]}\n  {line}")
