"""What kernels as text of their own can say: the statements that machine code and CUDA C have."""

from __future__ import annotations

from symgraph.codegen.complex_ops import is_spoken
from symgraph.codegen.llvm_reductions import reduces
from symgraph.codegen.loops import Compute, LoopKernel, Number, Reduce, all_of, of_form
from symgraph.ops.own_scalar import ScalarOp
from symgraph.ops.transcendental import pow


@of_form
def unspoken(kernel: LoopKernel) -> str | None:
    """What of a kernel cannot be said, in a few words; None where all can, but for ops of users' own, which `own_llvm`
    and `own_cuda` know."""
    for each in all_of(kernel):
        match each:
            case Compute(op=ScalarOp()):
                continue
            case Compute() if _may_raise(each):
                return f"{each.op.name} of {each.args[-1].row}, whose exponents may be negative"
            case Compute() if not is_spoken(each.op, [x.row for x in each.args], each.target.row):
                return f"{each.op.name} of {each.args[-1].row}"
            case Reduce() if not reduces(each):
                return f"{each.op.name} of {each.arg.row}"
    return None


def _may_raise(each: Compute) -> bool:
    """Integers have no negative powers: there is an error to raise unless the exponent is known, or has no sign."""
    if each.op is not pow.op or each.args[-1].row.kind != "int":
        return False
    exponent = each.args[-1]
    return not (isinstance(exponent, Number) and exponent.value >= 0)
