"""Whether machine code can say a kernel. LLVM IR that users wrote is compiled by itself before it stands in kernels, so
that an error is about their lines."""

from __future__ import annotations

from functools import cache

from symgraph.codegen.loops import Compute, LoopKernel, all_of, of_form
from symgraph.codegen.own_llvm import explained, proof, unknown, unwritten
from symgraph.codegen.spoken import unspoken
from symgraph.graph.types import DType
from symgraph.ops.own_scalar import ScalarOp
from symgraph.runtime.cpu import assembly

_LANES = (0, 4)
"""A text is tried on one number, and on a vector."""


def unsaid(kernel: LoopKernel) -> str | None:
    """What of a kernel there is no machine code for, in a few words; None where there is for all.

    Raises DeviceError with the user's line for a text that LLVM does not take.
    """
    if (why := unspoken(kernel) or unwritten(kernel)) is not None:
        return why
    _check_texts(kernel)
    return None


@of_form
def _check_texts(kernel: LoopKernel) -> None:
    for each in all_of(kernel):
        if isinstance(each, Compute) and isinstance(each.op, ScalarOp):
            _check(each.op, each.args[0].row, each.target.row)


@cache
def _check(op: ScalarOp, row: DType, gives: DType) -> None:
    for lanes in _LANES:
        text, origins = proof(op, row, gives, lanes)
        try:
            found = unknown(assembly(text, 0))
        except RuntimeError as error:
            raise explained(str(error), op, row, origins) from None
        if found is not None:
            raise explained(f"there is no intrinsic {found}", op, row, origins)
