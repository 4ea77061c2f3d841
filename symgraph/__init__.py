"""Array programs, compiled: write NumPy-like expressions, differentiate them, run them as one whole.

>>> import symgraph as sg
"""

import os.path as _path
from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

__version__ = "0.1.0"

_home = _path.dirname(_path.abspath(__file__))
_root = _path.dirname(_home)
if not _path.isdir(_path.join(_home, "codegen")) and _path.isfile(_path.join(_root, "setup.cfg")):
    __path__.append(_root)  # a source tree without links: optimizations/ and codegen/ lie beside symgraph/

from symgraph import fft, linalg, random
from symgraph.api.function import CompiledFunction, function
from symgraph.api.gradient import grad, vjp
from symgraph.api.session import Session
from symgraph.api.updates import Assign, Group, assign, assign_add, group
from symgraph.api.variable import Variable, variable
from symgraph.errors import (
    ArgumentError,
    DeviceError,
    DTypeError,
    FileError,
    GradientError,
    GraphError,
    LinAlgError,
    MemoryLimitError,
    OutOfBoundsError,
    ParseError,
    RunError,
    ShapeError,
    SymgraphError,
    UnsupportedOperator,
    VerifyError,
)
from symgraph.graph.dims import Size
from symgraph.graph.evaluate import evaluate
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.op import constant, placeholder
from symgraph.graph.operators import FUNCTIONS as _FUNCTIONS
from symgraph.graph.text import show
from symgraph.graph.types import DType, TensorType, TupleType
from symgraph.graph.verify import verify
from symgraph.graph.walk import toposort
from symgraph.ops import interop as _interop  # noqa: F401  (np.exp(node) and its like)
from symgraph.ops.activations import (
    celu,
    elu,
    gelu,
    gelu_erf,
    gelu_tanh,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    leaky_relu,
    mish,
    relu,
    relu6,
    selu,
    silu,
    softsign,
)
from symgraph.ops.arithmetic import (
    abs,
    add,
    astype,
    ceil,
    conj,
    divide,
    divmod,
    floor,
    floor_divide,
    fmod,
    imag,
    maximum,
    minimum,
    multiply,
    negative,
    positive,
    real,
    reciprocal,
    remainder,
    rint,
    sign,
    subtract,
    trunc,
    where,
)
from symgraph.ops.branches import cond, switch
from symgraph.ops.broadcast import broadcast_arrays, broadcast_to, sum_to
from symgraph.ops.checkpoint import CHECKPOINT as _CHECKPOINT  # noqa: F401  (so that texts read back)
from symgraph.ops.choose import argwhere, compress, extract, select
from symgraph.ops.comparison import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    copysign,
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    nextafter,
    not_equal,
    signbit,
)
from symgraph.ops.create import (
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    iota,
    linspace,
    meshgrid,
    one_hot,
    ones,
    ones_like,
    tri,
    tril,
    triu,
    zeros,
    zeros_like,
)
from symgraph.ops.custom import custom_gradient, stop_gradient
from symgraph.ops.diagonals import diag, diagonal, trace
from symgraph.ops.einsum import einsum
from symgraph.ops.histogram import bincount, diff, histogram
from symgraph.ops.index import dynamic_slice, index, take, take_along_axis
from symgraph.ops.join import (
    array_split,
    concat,
    flip,
    pad,
    repeat,
    roll,
    split,
    stack,
    tile,
    unstack,
)
from symgraph.ops.linalg import (
    cross,
    dot,
    inner,
    kron,
    matmul,
    outer,
    tensordot,
    vdot,
    vecdot,
)
from symgraph.ops.loops import fori_loop, map, scan, while_loop
from symgraph.ops.losses import binary_cross_entropy, cross_entropy, huber
from symgraph.ops.math import (
    clip,
    deg2rad,
    heaviside,
    isclose,
    log1mexp,
    log_sigmoid,
    logaddexp,
    logaddexp2,
    logit,
    nan_to_num,
    rad2deg,
    round,
    sigmoid,
    sinc,
    softplus,
    square,
    xlog1py,
    xlogy,
)
from symgraph.ops.nonzero import flatnonzero, nonzero
from symgraph.ops.norm import norm
from symgraph.ops.quantile import median, percentile, quantile
from symgraph.ops.reduce import all, any, argmax, argmin, count_nonzero, max, min, prod, sum
from symgraph.ops.scan import (
    cumprod,
    cumsum,
    cumulative_prod,
    cumulative_sum,
    linear_recurrence,
    shift,
)
from symgraph.ops.shape import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    expand_dims,
    matrix_transpose,
    moveaxis,
    permute_dims,
    ravel,
    reshape,
    squeeze,
    swapaxes,
    transpose,
)
from symgraph.ops.softmax import log_softmax, logsumexp, softmax
from symgraph.ops.sort import (
    argsort,
    searchsorted,
    sort,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
)
from symgraph.ops.special import (
    betainc,
    digamma,
    erf,
    erfc,
    erfcx,
    erfinv,
    gammainc,
    gammaincc,
    gammaln,
    i0,
    i0e,
    i1,
    i1e,
    lbeta,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
)
from symgraph.ops.statistics import average, mean, std, var
from symgraph.ops.transcendental import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    hypot,
    log,
    log1p,
    log2,
    log10,
    pow,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)
from symgraph.ops.update import (
    dynamic_update_slice,
    scatter_add,
    scatter_max,
    scatter_min,
    scatter_set,
    update,
)
from symgraph.optimizations.pattern import wild
from symgraph.optimizations.rules import Keeps, Rule, rule
from symgraph.options import Options

if TYPE_CHECKING:
    from symgraph.api.composite import composite
    from symgraph.api.derivatives import hessian, hvp, jacobian, jvp, linearize, sparse_jacobian
    from symgraph.api.own_check import check_op
    from symgraph.api.random_stream import RandomStream
    from symgraph.api.vmap import vmap
    from symgraph.autodiff.check import GradientCheck, check_gradient
    from symgraph.autodiff.sparse import SparseJacobian
    from symgraph.debug.claims import check_rule
    from symgraph.graph.parse import parse
    from symgraph.io.checkpoint import checkpoint
    from symgraph.io.native import load, save
    from symgraph.ops.own import python_op
    from symgraph.ops.own_kernels import cuda_kernel
    from symgraph.ops.own_op import OwnOp
    from symgraph.ops.own_scalar import scalar_op

_LATE = {
    "aot": "symgraph.aot",
    "composite": "symgraph.api.composite",
    "hessian": "symgraph.api.derivatives",
    "hvp": "symgraph.api.derivatives",
    "jacobian": "symgraph.api.derivatives",
    "jvp": "symgraph.api.derivatives",
    "linearize": "symgraph.api.derivatives",
    "sparse_jacobian": "symgraph.api.derivatives",
    "check_op": "symgraph.api.own_check",
    "RandomStream": "symgraph.api.random_stream",
    "vmap": "symgraph.api.vmap",
    "GradientCheck": "symgraph.autodiff.check",
    "check_gradient": "symgraph.autodiff.check",
    "SparseJacobian": "symgraph.autodiff.sparse",
    "check_rule": "symgraph.debug.claims",
    "parse": "symgraph.graph.parse",
    "checkpoint": "symgraph.io.checkpoint",
    "load": "symgraph.io.native",
    "save": "symgraph.io.native",
    "python_op": "symgraph.ops.own",
    "cuda_kernel": "symgraph.ops.own_kernels",
    "OwnOp": "symgraph.ops.own_op",
    "scalar_op": "symgraph.ops.own_scalar",
    "onnx": "symgraph.onnx",
}
"""What is imported when it is first asked for, since most programs do not."""


def __getattr__(name: str) -> _Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _import_module(_LATE[name])
    found = globals()[name] = module if _LATE[name] == f"{__name__}.{name}" else getattr(module, name)
    return found


def _later(module: str, name: str) -> _Any:
    """A function of a module that is imported when it is first called."""
    return lambda *args: getattr(_import_module(module), name)(*args)


# Functions save themselves by what lies above them.
_FUNCTIONS["__save__"] = _later("symgraph.io.native", "save")
_FUNCTIONS["__reduce__"] = _later("symgraph.io.native", "reduced")


# NumPy's other names.
absolute = abs
arccos = acos
arccosh = acosh
arcsin = asin
arcsinh = asinh
arctan = atan
arctan2 = atan2
arctanh = atanh
around = round
bitwise_not = bitwise_invert
concatenate = concat
conjugate = conj
degrees = rad2deg
flatten = ravel
invert = bitwise_invert
left_shift = bitwise_left_shift
mod = remainder
power = pow
radians = deg2rad
right_shift = bitwise_right_shift
true_divide = divide

# fmt: off
__all__ = [
    # building
    "constant", "placeholder", "variable", "Variable", "Node", "Size", "DType", "TensorType", "TupleType",
    # running
    "function", "CompiledFunction", "Session", "assign", "assign_add", "group", "Assign", "Group", "Options",
    "evaluate",
    # differentiating
    "grad", "vjp", "jvp", "linearize", "hvp", "jacobian", "hessian", "sparse_jacobian",
    "SparseJacobian", "checkpoint", "check_gradient", "GradientCheck",
    # rewriting
    "rule", "Rule", "Keeps", "wild", "check_rule",
    # looking
    "show", "parse", "verify", "Graph", "toposort",
    # files
    "save", "load",
    # errors
    "SymgraphError", "ArgumentError", "DeviceError", "DTypeError", "FileError", "GradientError", "GraphError",
    "LinAlgError", "MemoryLimitError", "OutOfBoundsError", "ParseError", "RunError", "ShapeError",
    "UnsupportedOperator", "VerifyError",
    # arithmetic, rounding, choice, conversion
    "abs", "absolute", "add", "astype", "ceil", "conj", "conjugate", "divide", "divmod", "floor", "floor_divide",
    "fmod", "imag", "maximum", "minimum", "mod", "multiply", "negative", "positive", "real", "reciprocal",
    "remainder", "rint", "sign", "subtract", "true_divide", "trunc", "where",
    # comparisons, logic, bits
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "copysign", "equal", "greater", "greater_equal", "invert", "isfinite", "isinf", "isnan",
    "left_shift", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "nextafter",
    "not_equal", "right_shift", "signbit",
    # powers, logarithms, trigonometry
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh",
    "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "exp", "exp2", "expm1", "hypot", "log", "log10", "log1p",
    "log2", "pow", "power", "sin", "sinh", "sqrt", "tan", "tanh",
    # more elementwise functions
    "around", "clip", "deg2rad", "degrees", "heaviside", "isclose", "log_sigmoid", "log1mexp", "logaddexp",
    "logaddexp2", "logit", "nan_to_num", "rad2deg", "radians", "round", "sigmoid", "sinc", "softplus", "square",
    "xlog1py", "xlogy",
    # activations
    "celu", "elu", "gelu", "gelu_erf", "gelu_tanh", "hard_sigmoid", "hard_swish", "hard_tanh", "leaky_relu",
    "mish", "relu", "relu6", "selu", "silu", "softsign",
    # special functions
    "betainc", "digamma", "erf", "erfc", "erfcx", "erfinv", "gammainc", "gammaincc", "gammaln", "i0", "i0e", "i1",
    "i1e", "lbeta", "log_ndtr", "ndtr", "ndtri", "polygamma",
    # broadcasting
    "broadcast_arrays", "broadcast_to", "sum_to",
    # shape
    "atleast_1d", "atleast_2d", "atleast_3d", "expand_dims", "flatten", "matrix_transpose", "moveaxis",
    "permute_dims", "ravel", "reshape", "squeeze", "swapaxes", "transpose",
    # joining and taking apart
    "array_split", "concat", "concatenate", "flip", "pad", "repeat", "roll", "split", "stack", "tile", "unstack",
    # creation
    "arange", "asarray", "empty", "empty_like", "eye", "full", "full_like", "iota", "linspace", "meshgrid",
    "one_hot", "ones", "ones_like", "tri", "tril", "triu", "zeros", "zeros_like",
    # indexing
    "dynamic_slice", "index", "take", "take_along_axis",
    # replacing and scattering
    "dynamic_update_slice", "scatter_add", "scatter_max", "scatter_min", "scatter_set", "update",
    # where values are not zero
    "argwhere", "compress", "extract", "flatnonzero", "nonzero", "select",
    # reductions
    "all", "any", "argmax", "argmin", "count_nonzero", "log_softmax", "logsumexp", "max", "min", "prod",
    "softmax", "sum",
    # running sums and products
    "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "linear_recurrence", "shift",
    # statistics
    "average", "mean", "std", "var",
    # quantiles
    "median", "percentile", "quantile",
    # histograms
    "bincount", "diff", "histogram",
    # sorting, searching, sets
    "argsort", "searchsorted", "sort", "unique_all", "unique_counts", "unique_inverse", "unique_values",
    # diagonals
    "diag", "diagonal", "trace",
    # linear algebra
    "cross", "dot", "inner", "kron", "matmul", "outer", "tensordot", "vdot", "vecdot",
    # norms
    "norm",
    # linear algebra, Fourier transforms
    "fft", "linalg",
    # einsum
    "einsum",
    # models in other formats, libraries for C
    "onnx", "aot",
    # losses
    "binary_cross_entropy", "cross_entropy", "huber",
    # loops and branches
    "cond", "fori_loop", "map", "scan", "switch", "vmap", "while_loop",
    # random numbers
    "random", "RandomStream",
    # gradients of one's own
    "custom_gradient", "stop_gradient",
    # ops of one's own
    "composite", "python_op", "scalar_op", "cuda_kernel", "check_op", "OwnOp",
]
# fmt: on
