"""``+ - * / @ [] < .sum()``: what can be written on a node, by looking the op's name up in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from symgraph.graph.node import Node

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Every public function by its name: filled by the declarations in ``ops/``."""


def _binary(name: str) -> Callable[[Any, Any], Node]:
    def operator(self: Any, other: Any) -> Node:
        return FUNCTIONS[name](self, other)  # type: ignore[no-any-return]

    return operator


def _reflected(name: str) -> Callable[[Any, Any], Node]:
    def operator(self: Any, other: Any) -> Node:
        return FUNCTIONS[name](other, self)  # type: ignore[no-any-return]

    return operator


def _unary(name: str) -> Callable[[Any], Node]:
    def operator(self: Any) -> Node:
        return FUNCTIONS[name](self)  # type: ignore[no-any-return]

    return operator


def _method(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return FUNCTIONS[name](self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"``{name}(x, …)`` as a method."
    return method


class Operators:
    """Python's operators and NumPy's array methods, each meaning the op of that name."""

    __slots__ = ()
    __array_priority__ = 1000

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _binary("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _binary("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _binary("remainder"), _reflected("remainder")
    __divmod__, __rdivmod__ = _binary("divmod"), _reflected("divmod")
    __pow__, __rpow__ = _binary("pow"), _reflected("pow")
    __matmul__, __rmatmul__ = _binary("matmul"), _reflected("matmul")
    __and__, __rand__ = _binary("bitwise_and"), _reflected("bitwise_and")
    __or__, __ror__ = _binary("bitwise_or"), _reflected("bitwise_or")
    __xor__, __rxor__ = _binary("bitwise_xor"), _reflected("bitwise_xor")
    __lshift__, __rlshift__ = _binary("bitwise_left_shift"), _reflected("bitwise_left_shift")
    __rshift__, __rrshift__ = _binary("bitwise_right_shift"), _reflected("bitwise_right_shift")
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _binary("greater"), _binary("greater_equal")
    __eq__ = _binary("equal")  # type: ignore[assignment]
    __ne__ = _binary("not_equal")  # type: ignore[assignment]
    __hash__ = object.__hash__
    __neg__, __pos__ = _unary("negative"), _unary("positive")
    __abs__, __invert__ = _unary("abs"), _unary("bitwise_invert")
    __getitem__ = _binary("index")

    def __round__(self, decimals: int = 0) -> Node:
        return FUNCTIONS["round"](self, decimals)  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return FUNCTIONS["__array_ufunc__"](ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return FUNCTIONS["__array_function__"](function, args, kwargs)

    sum, prod, mean = _method("sum"), _method("prod"), _method("mean")
    max, min = _method("max"), _method("min")
    var, std = _method("var"), _method("std")
    all, any = _method("all"), _method("any")
    argmax, argmin = _method("argmax"), _method("argmin")
    cumsum, cumprod = _method("cumsum"), _method("cumprod")
    astype, clip, round = _method("astype"), _method("clip"), _method("round")
    ravel, squeeze = _method("ravel"), _method("squeeze")
    swapaxes, repeat, take = _method("swapaxes"), _method("repeat"), _method("take")
    dot, diagonal, trace = _method("dot"), _method("diagonal"), _method("trace")
    conj, nonzero = _method("conj"), _method("nonzero")

    def reshape(self, *shape: Any) -> Node:
        """``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
        spec = shape[0] if len(shape) == 1 else shape
        return FUNCTIONS["reshape"](self, spec)  # type: ignore[no-any-return]

    def transpose(self, *axes: Any) -> Node:
        """``x.transpose()``, ``x.transpose(1, 0)`` or ``x.transpose((1, 0))``."""
        spec = None if not axes else axes[0] if len(axes) == 1 else axes
        return FUNCTIONS["transpose"](self, spec)  # type: ignore[no-any-return]

    @property
    def T(self) -> Node:
        """All axes reversed."""
        return FUNCTIONS["transpose"](self)  # type: ignore[no-any-return]

    @property
    def mT(self) -> Node:
        """The last two axes swapped."""
        return FUNCTIONS["matrix_transpose"](self)  # type: ignore[no-any-return]

    @property
    def real(self) -> Node:
        return FUNCTIONS["real"](self)  # type: ignore[no-any-return]

    @property
    def imag(self) -> Node:
        return FUNCTIONS["imag"](self)  # type: ignore[no-any-return]

    @property
    def at(self) -> Any:
        """``x.at[idx].set(v)``: a copy of x with elements replaced; also ``add``, ``multiply``, ``min``, ``max``."""
        return FUNCTIONS["__at__"](self)

    def eval(self, feed_dict: Any = None) -> Any:
        """The value of this node, for one look: ``y.eval({x: 1.0})``."""
        return FUNCTIONS["__eval__"](self, feed_dict)
