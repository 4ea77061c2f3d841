"""Linear algebra, as ``numpy.linalg``: functions of matrices, which are the last two axes, and of batches of them.

>>> a = placeholder("float64", ("n", "n"), name="a")
>>> b = placeholder("float64", ("n",), name="b")
>>> solve(a, b).type
f64[n]
"""

from symgraph.ops.factorizations import LUResult, QRResult, cholesky, lu, qr
from symgraph.ops.inverses import SlogdetResult, adjugate, det, inv, slogdet
from symgraph.ops.least_squares import LstsqResult, cond, lstsq, matrix_rank, pinv
from symgraph.ops.linalg import cross, matmul, tensordot, vecdot
from symgraph.ops.matrix_functions import (
    diagonal,
    expm,
    expm_frechet,
    matrix_norm,
    matrix_power,
    multi_dot,
    outer,
    trace,
    vector_norm,
)
from symgraph.ops.norm import norm
from symgraph.ops.shape import matrix_transpose
from symgraph.ops.solvers import solve, solve_triangular
from symgraph.ops.spectra import EighResult, EigResult, SVDResult, eig, eigh, eigvals, eigvalsh, svd, svdvals

__all__ = [
    "EigResult",
    "EighResult",
    "LUResult",
    "LstsqResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "adjugate",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "expm",
    "expm_frechet",
    "inv",
    "lstsq",
    "lu",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
