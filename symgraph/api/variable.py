"""Variable: state that lives between calls."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from symgraph.api.arguments import as_argument
from symgraph.errors import DTypeError
from symgraph.graph.node import Node, located
from symgraph.graph.op import VARIABLE, VariableAttrs, as_node
from symgraph.graph.origin import here
from symgraph.graph.types import TensorType, dtype
from symgraph.runtime.kept import Lock

_unnamed = itertools.count()


class Variable(Node):
    """A node with a value of its own; no two variables are equal.

    ``value`` is read as a copy and set as a copy, so that nothing a caller holds changes with the variable, nor the
    other way round. ``default_update`` is what the variable becomes after each call that reads it and has no other
    update of it.

    >>> calls = variable(0, name="calls")
    >>> calls.default_update = calls + 1
    >>> f = function([], calls * 10)
    >>> int(f()), int(f()), int(calls.value)
    (0, 10, 2)
    """

    __slots__ = ("_array", "_default_update", "lock", "trainable")
    __setattr__ = object.__setattr__

    def __init__(self, array: np.ndarray[Any, Any], name: str, trainable: bool) -> None:
        type = TensorType(dtype(array.dtype), array.shape)
        super().__init__(VARIABLE, (), VariableAttrs(name, type), type, (), here())
        self._array = array
        self._default_update: Node | None = None
        self.trainable = trainable
        self.lock = Lock()

    @property
    def value(self) -> np.ndarray[Any, Any]:
        """The value outside any session, copied."""
        return self._array.copy()

    @value.setter
    def value(self, value: Any) -> None:
        array = np.array(as_argument(value, self, self.name or "variable"), order="C")
        with self.lock:
            self._array = array

    @property
    def default_update(self) -> Node | None:
        """What it becomes after a call that reads it; None where it stays as it is."""
        return self._default_update

    @default_update.setter
    def default_update(self, value: Any) -> None:
        self._default_update = None if value is None else as_node(value, self.row)


def variable(value: Any, name: str | None = None, dtype: object = None, trainable: bool = True) -> Variable:
    """State that lives between calls, with this first value, which is copied.

    The dtype and shape are those of the value, or ``dtype``. ``trainable`` is for optimizers, which leave the others
    alone.

    >>> w = variable(np.zeros(3, "float32"), name="w")
    >>> w.type
    f32[3]
    >>> w.value = [1, 2, 3]
    >>> w.value
    array([1., 2., 3.], dtype=float32)

    Raises DTypeError for what is no array of numbers.
    """
    array = _first_value(value, dtype)
    return Variable(array, name if name is not None else f"variable_{next(_unnamed)}", trainable)


def _first_value(value: Any, wanted: object) -> np.ndarray[Any, Any]:
    if isinstance(value, Node):
        value = getattr(value, "value", value)
    row = None if wanted is None else dtype(wanted)
    try:
        array = np.array(value, dtype=None if row is None else row.numpy, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise located(DTypeError(f"no variable can be made of {value!r}: {error}"), []) from None
    return array.astype(dtype(array.dtype).numpy, copy=False)
