"""The functions that LLVM has no instruction for, of float32 and float64 and any number of lanes.

They have no branches but those of `Body.rarely`, call nothing, and give the same bits at every level of LLVM's code
generation. `bench/ulp.py` prints how far they are from the truth: 2 units in the last place at most for exp, expm1,
log, log1p, tanh, erf, sin, cos and pow, 4 for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symgraph.codegen import (
    llvm_arcs,
    llvm_bessel,
    llvm_beta,
    llvm_circular,
    llvm_error,
    llvm_exp,
    llvm_gamma,
    llvm_incomplete,
    llvm_inverse,
    llvm_log,
    llvm_power,
    llvm_steps,
)
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
    "erf": llvm_error.erf,
    "erfc": llvm_error.erfc,
    "erfcx": llvm_error.erfcx,
    "ndtr": llvm_error.ndtr,
    "log_ndtr": llvm_error.log_ndtr,
    "erfinv": llvm_inverse.erfinv,
    "ndtri": llvm_inverse.ndtri,
    "pow": llvm_power.pow,
    "cbrt": llvm_power.cbrt,
    "hypot": llvm_power.hypot,
    "sinh": llvm_exp.sinh,
    "cosh": llvm_exp.cosh,
    "asinh": llvm_log.asinh,
    "acosh": llvm_log.acosh,
    "atanh": llvm_log.atanh,
    "asin": llvm_arcs.asin,
    "acos": llvm_arcs.acos,
    "atan": llvm_arcs.atan,
    "atan2": llvm_arcs.atan2,
    "i0": llvm_bessel.i0,
    "i1": llvm_bessel.i1,
    "i0e": llvm_bessel.i0e,
    "i1e": llvm_bessel.i1e,
    "gammaln": llvm_gamma.gammaln,
    "digamma": llvm_gamma.digamma,
    "gammainc": llvm_incomplete.gammainc,
    "gammaincc": llvm_incomplete.gammaincc,
    "lbeta": llvm_beta.lbeta,
    "betainc": llvm_beta.betainc,
    "fmod": llvm_steps.fmod,
    "nextafter": llvm_steps.nextafter,
}
"""By the name of the op: from a `Body` and the operands, all of one dtype, to the result."""

WITH_ATTRIBUTES: Mapping[str, Callable[..., Register]] = {"polygamma": llvm_gamma.polygamma}
"""The same of ops with attributes, which follow by name."""
