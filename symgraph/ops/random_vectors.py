"""Draws of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.graph.dims import same
from symgraph.graph.node import Node
from symgraph.graph.op import as_node
from symgraph.graph.types import as_shape, broadcast_shapes
from symgraph.ops.annotations import ArrayLike, DTypeLike, ShapeLike
from symgraph.ops.cases import case, draw
from symgraph.ops.declare import cast_to, macro
from symgraph.ops.factorizations import cholesky
from symgraph.ops.linalg import matmul
from symgraph.ops.random_bits import KEY
from symgraph.ops.random_continuous import normal, standard_normal
from symgraph.ops.random_uniform import Asked, asked
from symgraph.ops.shape import expand_dims, squeeze

_COVARIANCE = [[2.0, 0.5], [0.5, 1.0]]


def _reference(key: Any, mean: Any, cov: Any, shape: Any = None, dtype: Any = None) -> Any:
    row = np.result_type(*map(np.asarray, (mean, cov))) if dtype is None else np.dtype(dtype)
    mean, cov = np.asarray(mean, row), np.asarray(cov, row)
    batch = np.broadcast_shapes(mean.shape[:-1], cov.shape[:-2]) if shape is None else as_shape(shape)
    z = normal.reference(key, (*batch, mean.shape[-1]), dtype=row)  # type: ignore[operator]
    return mean + (np.linalg.cholesky(cov) @ z[..., None])[..., 0]


@macro(
    namespace="random", dtypes=("float32", "float64"), tolerance=16, reference=_reference,
    cases=[
        case(KEY, draw(2), np.array(_COVARIANCE, np.float32)),
        case(KEY, draw(2), np.array(_COVARIANCE, np.float32), (4,)),
        case(KEY, draw(3, 2), np.array(_COVARIANCE, np.float32)),
        case(KEY, draw(2), np.array(_COVARIANCE, np.float32), (0,)),
    ],
)  # fmt: skip
def multivariate_normal(
    key: ArrayLike,
    mean: ArrayLike,
    cov: ArrayLike,
    shape: ShapeLike | None = None,
    dtype: DTypeLike | None = None,
) -> Node:
    """Vectors of the normal distribution with this mean and covariance: ``mean + L @ z`` with ``L @ L.T == cov``.

    The result has the axes of ``shape``, by default those of the parameters that do not belong to one vector, and one
    for the vector. The gradient reaches both parameters.

    >>> evaluate(random.multivariate_normal(random.key(0), [1.0, 2.0], [[2.0, 0.5], [0.5, 1.0]]))
    array([-0.14424146,  0.55735692])

    Raises ShapeError for parameters that do not fit one another or the shape, LinAlgError at the call for a covariance
    that is not positive definite, and what ``normal`` raises.
    """
    mean, cov = as_node(mean), as_node(cov)
    if mean.ndim < 1 or cov.ndim < 2 or any(same(size, mean.shape[-1]) is False for size in cov.shape[-2:]):
        raise ShapeError(
            f"takes a mean f64[…, n] and a covariance f64[…, n, n], not {mean.type} and {cov.type}"
        )
    batch = broadcast_shapes(mean.shape[:-1], cov.shape[:-2]) if shape is None else as_shape(shape)
    draw = asked(key, (*batch, mean.shape[-1]), dtype, mean, *([] if dtype else [cov[..., 0]]))
    factor = cholesky(cast_to(cov, draw.work))
    z = standard_normal(Asked(draw.key, draw.shape, draw.work, ()))
    return draw.given(draw.params[0] + squeeze(matmul(factor, expand_dims(z, -1)), -1))
