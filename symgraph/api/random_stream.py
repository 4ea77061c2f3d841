"""RandomStream: draws that are new in every call, from a key that is a variable."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import numpy as np

from symgraph.api.variable import variable
from symgraph.graph.evaluate import evaluate
from symgraph.graph.node import Node
from symgraph.ops import (
    random_bits,
    random_continuous,
    random_counts,
    random_discrete,
    random_gamma,
    random_shuffles,
    random_uniform,
    random_vectors,
)
from symgraph.ops.annotations import ArrayLike
from symgraph.ops.declare import Function
from symgraph.ops.random_keys import fold_in, key

P = ParamSpec("P")

_names = itertools.count()


def _drawing(
    function: Function[Concatenate[ArrayLike, P], Node],
) -> Callable[Concatenate[RandomStream, P], Node]:
    """A function of a key as a method that takes the stream's next key."""

    def draw(self: RandomStream, /, *args: P.args, **kwargs: P.kwargs) -> Node:
        return function(self.key(), *args, **kwargs)

    draw.__name__ = function.__name__
    draw.__doc__ = (
        f"``random.{function.__name__}`` with a key of the stream's.\n\n    {function.summary}\n    "
    )
    return draw


class RandomStream:
    """Random numbers without keys: what is drawn is new in each call of a function and in each run of a session.

    The stream's key is a variable whose ``default_update`` is a new key: it moves on after each call that draws from
    it, and stays where a call fails. Within one call each draw has numbers of its own, and the same node the same
    numbers everywhere. Streams of one seed that draw in the same order draw the same numbers. In a loop a draw is one
    node, the same in each turn; there, take ``fold_in(stream.key(), turn)``.

    >>> stream = RandomStream(0)
    >>> roll = function([], stream.randint((3,), 1, 7))
    >>> roll().tolist(), roll().tolist()
    ([3, 1, 5], [2, 6, 6])
    >>> stream.seed(0)
    >>> roll().tolist()
    [3, 1, 5]

    Raises ArgumentError for a seed of more than 64 bits.
    """

    def __init__(self, seed: int, name: str | None = None) -> None:
        self.variable = variable(_words(seed), name or f"random_stream_{next(_names)}", trainable=False)
        self.variable.default_update = fold_in(self.variable, 0)
        self._now = fold_in(self.variable, 1)
        self._count = itertools.count()

    def key(self) -> Node:
        """A key, another in each call, that no draw of the stream has."""
        return fold_in(self._now, next(self._count))

    def seed(self, seed: int) -> None:
        """Begin again as a stream of this seed. A session that has drawn from the stream goes on with its own key."""
        self.variable.value = _words(seed)

    bits = _drawing(random_bits.bits)
    uniform = _drawing(random_uniform.uniform)
    normal = _drawing(random_continuous.normal)
    truncated_normal = _drawing(random_continuous.truncated_normal)
    exponential = _drawing(random_continuous.exponential)
    laplace = _drawing(random_continuous.laplace)
    logistic = _drawing(random_continuous.logistic)
    gumbel = _drawing(random_continuous.gumbel)
    cauchy = _drawing(random_continuous.cauchy)
    randint = _drawing(random_discrete.randint)
    bernoulli = _drawing(random_discrete.bernoulli)
    rademacher = _drawing(random_discrete.rademacher)
    categorical = _drawing(random_discrete.categorical)
    poisson = _drawing(random_counts.poisson)
    binomial = _drawing(random_counts.binomial)
    gamma = _drawing(random_gamma.gamma)
    beta = _drawing(random_gamma.beta)
    dirichlet = _drawing(random_gamma.dirichlet)
    chisquare = _drawing(random_gamma.chisquare)
    student_t = _drawing(random_gamma.student_t)
    multivariate_normal = _drawing(random_vectors.multivariate_normal)
    permutation = _drawing(random_shuffles.permutation)
    choice = _drawing(random_shuffles.choice)


def _words(seed: int) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = evaluate(key(seed))
    return found
