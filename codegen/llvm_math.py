"""The functions that LLVM has no instruction for, of float32 and float64 and any number of lanes.

They have no branches but those of `Body.rarely`, call nothing, and give the same bits at every level of LLVM's code
generation. `bench/ulp.py` prints how far they are from the truth: 2 units in the last place at most for exp, expm1,
log, log1p, tanh, erf, sin, cos and pow, 4 for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symgraph.codegen import llvm_circular, llvm_exp, llvm_log
from symgraph.codegen.vectors import Register

FUNCTIONS: Mapping[str, Callable[..., Register]] = {
    "exp": llvm_exp.exp,
    "exp2": llvm_exp.exp2,
    "expm1": llvm_exp.expm1,
    "tanh": llvm_exp.tanh,
    "log": llvm_log.log,
    "log2": llvm_log.log2,
    "log10": llvm_log.log10,
    "log1p": llvm_log.log1p,
    "sin": llvm_circular.sin,
    "cos": llvm_circular.cos,
    "tan": llvm_circular.tan,
}
"""By the name of the op: from a `Body` and the operands, all of one dtype, to the result."""
