"""Random numbers as pure ops: a draw is a function of a key, a shape and parameters.

>>> a, b = sg.random.split(sg.random.key(7))
>>> x = sg.random.normal(a, (2, 3))
>>> y = sg.random.randint(b, (), 1, 7)

Equal keys give equal numbers on every backend, device and number of threads, bit for bit where a draw consists of
integers and multiplications, and to the accuracy of the functions in it elsewhere. A key is for one draw; ``split`` and
``fold_in`` make new ones of it. ``RandomStream`` holds a key that moves on with every call.

The generator is Threefry 2x32 with 20 rounds on counters. Keys and bits are those of JAX's ``threefry2x32``.
"""

from symgraph.api.random_stream import RandomStream
from symgraph.ops.random_bits import bits
from symgraph.ops.random_continuous import (
    cauchy,
    exponential,
    gumbel,
    laplace,
    logistic,
    normal,
    truncated_normal,
)
from symgraph.ops.random_counts import binomial, poisson
from symgraph.ops.random_discrete import bernoulli, categorical, rademacher, randint
from symgraph.ops.random_gamma import beta, chisquare, dirichlet, gamma, log_gamma, student_t
from symgraph.ops.random_keys import fold_in, key, split
from symgraph.ops.random_shuffles import choice, permutation
from symgraph.ops.random_uniform import uniform
from symgraph.ops.random_vectors import multivariate_normal

__all__ = [
    "RandomStream",
    "bernoulli",
    "beta",
    "binomial",
    "bits",
    "categorical",
    "cauchy",
    "chisquare",
    "choice",
    "dirichlet",
    "exponential",
    "fold_in",
    "gamma",
    "gumbel",
    "key",
    "laplace",
    "log_gamma",
    "logistic",
    "multivariate_normal",
    "normal",
    "permutation",
    "poisson",
    "rademacher",
    "randint",
    "split",
    "student_t",
    "truncated_normal",
    "uniform",
]
