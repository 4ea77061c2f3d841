"""Draws programs: each step applies an op to values drawn before, here and in NumPy at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.graph.dims import symbol
from tests.derived.declared import FUNCTIONS_BY_NAME, reference_of


@dataclass
class Program:
    """Pairs of a node and its value by NumPy; the inputs, the sizes that they bind, and what comes of them."""

    rng: np.random.Generator
    sizes: dict
    inputs: list = field(default_factory=list)
    values: list = field(default_factory=list)

    def pick(self, want: Callable = lambda array: True):
        """A pair whose array is as wanted, the latest ones more often; None when there is none."""
        fit = [pair for pair in self.values if want(pair[1])]
        if not fit:
            return None
        back = min(int(self.rng.exponential(4)), len(fit) - 1)
        node, array = fit[len(fit) - 1 - back]
        return node, np.asarray(array)

    def one_of(self, choices):
        return choices[self.rng.integers(len(choices))]

    def axis(self, array):
        return int(self.rng.integers(-array.ndim, array.ndim))


def draw_group(
    group: int, count: int, first_seed: int, *, smooth: bool = False, sizes: Sequence[int] = ()
) -> Iterator[tuple[int, Program]]:
    """So many programs with their seeds: group 0 begins at the first seed, and each other where the one before ends."""
    for seed in range(first_seed + group * count, first_seed + (group + 1) * count):
        yield seed, draw_program(seed, smooth=smooth, sizes=sizes)


def loss_and_gradients(program: Program) -> list:
    """A loss of the last values of a smooth program, and its gradient by each input."""
    loss = sum(sg.tanh(node).sum() for node, _ in program.values[-3:])
    return [loss, *sg.grad(loss, [node for node, _ in program.inputs], disconnected="zero")]


def draw_program(seed: int, *, smooth: bool = False, sizes: Sequence[int] = ()) -> Program:
    """A program of 5 to 60 ops; a smooth one is of float64 and has derivatives everywhere. Its symbolic sizes are some
    of ``sizes``, which are small where they are not given."""
    rng = np.random.default_rng(seed)
    choice = sizes or ([0, 1, 1, 2, 3, 4] if not smooth else [1, 2, 3])
    program = Program(rng, {symbol(name): int(rng.choice(choice)) for name in "nmk"})
    for i in range(rng.integers(2, 5)):
        _add_input(program, f"x{i}", "float64" if smooth else program.one_of(DTYPES))
    ops = int(rng.integers(5, 61))
    steps = SMOOTH if smooth else SMOOTH + OTHERS
    tries = 0
    largest = 50 if smooth else 1e4
    while len(program.values) < len(program.inputs) + ops and tries < 20 * ops:
        tries += 1
        step, state = program.one_of(steps), rng.bit_generator.state
        with np.errstate(all="ignore"):  # what is not finite is not kept
            made = step(program)
            if made is not None and _is_tame(made[1], largest) and _is_steady(program, step, state, made[1]):
                program.values.append(made)
    return program


def _is_steady(program: Program, step: Callable, state: dict, result: np.ndarray) -> bool:
    """Whether the step gives much the same when its operands are rounded otherwise: no tie, no jump."""
    left = program.rng.bit_generator.state
    limit = 1000 * _roughness(result)
    for values in _rounded_otherwise(program.values, seed=state["state"]["state"]):
        program.rng.bit_generator.state = state
        again = step(replace(program, values=values))
        program.rng.bit_generator.state = left
        if again is None or again[1].shape != result.shape:
            return False
        if not np.allclose(again[1], result, rtol=limit, atol=limit if is_inexact(result) else 0):
            return False
    return True


def _rounded_otherwise(values: list, seed: int):
    """The values shaken, shaken the other way (of what is equal, either may be the larger), and cut.

    Cut short, what is nearly equal is equal; and what may as well be 0, as sin(π) for whoever rounds better, is 0.
    """
    ends = np.cumsum([array.size for _, array in values])
    drawn = np.random.default_rng(seed).uniform(-1, 1, ends[-1])
    for sign in (1, -1):
        yield [
            (node, _Rounded(array, partial(_shaken, sign, drawn[end - array.size : end])))
            for (node, array), end in zip(values, ends, strict=True)
        ]
    yield [(node, _Rounded(array, _cut)) for node, array in values]


class _Rounded:
    """An array rounded otherwise, as soon as its numbers count: a step takes two or three of all values."""

    def __init__(self, array: np.ndarray, rounding: Callable) -> None:
        self.dtype, self.shape, self.ndim, self.size = array.dtype, array.shape, array.ndim, array.size
        self._array, self._rounding = array, rounding

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._rounding(self._array))


def _shaken(sign, drawn, array):
    return (array + sign * _dust(array) * drawn.reshape(array.shape)).astype(array.dtype)


def _cut(array):
    if not is_inexact(array):
        return array
    if array.dtype.kind == "c":
        return (_cut(array.real) + 1j * _cut(array.imag)).astype(array.dtype)
    mantissa, exponent = np.frexp(np.where(np.abs(array) <= _dust(array), array.dtype.type(0), array))
    places = int(-np.log2(_roughness(array)))
    return np.ldexp(np.round(np.ldexp(mantissa, places)), exponent - places).astype(array.dtype)


def _dust(array) -> float:
    """How far the elements may be off: what cancels is as rough as what it comes from."""
    return np.abs(array).max(initial=1.0) * _roughness(array) if is_inexact(array) else 0


def _roughness(array) -> float:
    return 0.0 if not is_inexact(array) else 1e-5 if array.dtype in ("float32", "complex64") else 1e-11


DTYPES = ("float64", "float64", "float32", "float32", "int64", "int32", "uint8", "bool", "complex128")


def _add_input(program: Program, name: str, dtype: str) -> None:
    rng = program.rng
    dims = [program.one_of([*program.sizes, 1, 3]) for _ in range(rng.integers(0, 4))]
    shape = [program.sizes.get(dim, dim) for dim in dims]
    node = sg.placeholder(dtype, tuple(dims), name=name)
    array = (
        rng.uniform(-2, 2, shape) if dtype not in ("uint8", "int32", "int64") else rng.integers(0, 5, shape)
    )
    if dtype == "complex128":
        array = array + 1j * rng.uniform(-2, 2, shape)
    array = np.asarray(rng.uniform(size=shape) > 0.5 if dtype == "bool" else array).astype(dtype)
    program.inputs.append((node, array))
    program.values.append((node, array))


def _is_tame(array, largest) -> bool:
    return array.size <= 4000 and bool(np.all(np.isfinite(array))) and bool(np.all(np.abs(array) < largest))


def is_inexact(array):
    return array.dtype.kind in "fc"


def is_real(array):
    return array.dtype.kind in "iuf"


def is_float(array):
    return array.dtype.kind == "f"


def is_number(array):
    return array.dtype.kind in "iufc"


def has_axes(array):
    return array.ndim > 0


def unary(ours, theirs, want=is_float):
    def step(program):
        found = program.pick(want)
        return found and (ours(found[0]), np.asarray(theirs(found[1])))

    return step


def binary(ours, theirs, want=is_number):
    def step(program):
        a, b = program.pick(want), program.pick(want)
        if a is None or b is None or not _broadcast(a[1], b[1]):
            return None
        return ours(a[0], b[0]), np.asarray(theirs(a[1], b[1]))

    return step


def _broadcast(*arrays) -> bool:
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        return False
    return True


def reduction(ours, theirs, want=is_number, empty=True):
    def step(program):
        found = program.pick(lambda array: want(array) and (empty or array.size))
        if found is None:
            return None
        node, array = found
        keepdims = bool(program.rng.integers(2))
        axis = program.one_of([None, program.axis(array)] if array.ndim else [None])
        return ours(node, axis=axis, keepdims=keepdims), np.asarray(
            theirs(array, axis=axis, keepdims=keepdims)
        )

    return step


def along_axis(ours, theirs, want=is_real):
    def step(program):
        found = program.pick(lambda array: want(array) and array.ndim)
        if found is None:
            return None
        axis = program.axis(found[1])
        return ours(found[0], axis=axis), np.asarray(theirs(found[1], axis=axis))

    return step


DECLARED = [
    f
    for f in FUNCTIONS_BY_NAME.values()
    if not f.is_macro
    and f.op.elementwise
    and f.op.attrs is None
    and "float64" in f.dtypes
    and f.name != "where"
]


def declared(program):
    """Any elementwise op, on values that are brought into the intervals that its declaration names."""
    f = program.one_of(DECLARED)
    case = f.cases[0]
    pairs = [program.pick(is_float) for _ in case.args]
    if None in pairs or case.kwargs or not _broadcast(*(array for _, array in pairs)):
        return None
    intervals = f.sample if isinstance(f.sample[0], tuple) else (f.sample,) * len(pairs)
    moved = [_brought(pair, interval) for pair, interval in zip(pairs, intervals, strict=True)]
    node = f(*(node for node, _ in moved))
    return node, np.asarray(reference_of(f)(*(array for _, array in moved)), node.dtype)


def _brought(pair, interval):
    node, array = pair
    low, high = interval
    if np.all((low <= array) & (array <= high)):
        return pair
    middle, half = (low + high) / 2, (high - low) / 2
    return sg.tanh(node) * half + middle, np.tanh(array) * half + middle


def softmax(x, axis):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return e / np.sum(e, axis=axis, keepdims=True)


def with_number(program):
    found = program.pick(is_float)
    if found is None:
        return None
    number = program.one_of([2, 0.5, -1.25, 3])
    ours, theirs = program.one_of([(sg.add, np.add), (sg.multiply, np.multiply), (sg.subtract, np.subtract)])
    return ours(found[0], number), np.asarray(theirs(found[1], number))


def reshaped(program):
    found = program.pick(lambda array: array.size)
    if found is None:
        return None
    node, array = found
    if program.rng.integers(2) or array.ndim < 2:
        return node.reshape(-1), array.reshape(-1)
    return node.reshape((node.shape[0], -1)), array.reshape(array.shape[0], -1)


def transposed(program):
    found = program.pick(lambda array: array.ndim > 1)
    if found is None:
        return None
    order = tuple(int(i) for i in program.rng.permutation(found[1].ndim))
    return sg.transpose(found[0], order), np.transpose(found[1], order)


def expanded(program):
    node, array = program.pick(lambda array: array.ndim < 4)
    axis = int(program.rng.integers(-array.ndim - 1, array.ndim + 1))
    return sg.expand_dims(node, axis), np.expand_dims(array, axis)


def sliced(program):
    found = program.pick(has_axes)
    if found is None:
        return None
    node, array = found
    rng = program.rng
    bounds = [None, None, 0, 1, 2, -1, -2]
    steps = [None, None, 1, 2, -1, -2]
    key = tuple(
        slice(program.one_of(bounds), program.one_of(bounds), program.one_of(steps))
        for _ in range(rng.integers(1, array.ndim + 1))
    )
    if rng.integers(3) == 0:
        key = (None, *key)
    return node[key], array[key]


def one_row(program):
    found = program.pick(lambda array: array.ndim and array.shape[0])
    if found is None:
        return None
    place = int(program.rng.integers(-found[1].shape[0], found[1].shape[0]))
    return found[0][place], np.asarray(found[1][place])


def joined(program):
    found = program.pick(has_axes)
    if found is None:
        return None
    axis = program.axis(found[1])
    other = (
        program.pick(lambda array: array.dtype == found[1].dtype and array.shape == found[1].shape) or found
    )
    if program.rng.integers(2):
        return sg.stack([found[0], other[0]], axis=axis), np.stack([found[1], other[1]], axis=axis)
    return sg.concat([found[0], other[0]], axis=axis), np.concatenate([found[1], other[1]], axis=axis)


def product(program):
    a = program.pick(lambda array: is_float(array) and 1 <= array.ndim <= 3)
    b = a and program.pick(
        lambda array: is_float(array) and array.ndim == 2 and array.shape[0] == a[1].shape[-1]
    )
    return b and (sg.matmul(a[0], b[0]), np.asarray(np.matmul(a[1], b[1])))


def rolled(program):
    found = program.pick(has_axes)
    if found is None:
        return None
    by, axis = int(program.rng.integers(-3, 4)), program.axis(found[1])
    return sg.roll(found[0], by, axis), np.roll(found[1], by, axis)


def chosen(program):
    a, b = program.pick(is_number), program.pick(is_number)
    where = program.pick(lambda array: array.dtype == bool)
    if None in (a, b, where) or not _broadcast(a[1], b[1], where[1]):
        return None
    return sg.where(where[0], a[0], b[0]), np.where(where[1], a[1], b[1])


def cast(program):
    node, array = program.pick(lambda array: array.dtype.kind != "c" and np.all(np.abs(array) < 100)) or (
        None,
        None,
    )
    if node is None:
        return None
    dtype = program.one_of(["float64", "float32", "int64", "int16"])
    return sg.astype(node, dtype), array.astype(dtype)


def taken(program):
    found = program.pick(lambda array: array.ndim and array.shape[-1])
    if found is None:
        return None
    places = program.rng.integers(-found[1].shape[-1], found[1].shape[-1], (2, 2))
    return sg.take(found[0], places, axis=-1), np.take(found[1], places, axis=-1)


def masked(program):
    found = program.pick(lambda array: is_real(array) and array.ndim)
    return found and (found[0][found[0] > 0], found[1][found[1] > 0])


def replaced(program):
    found = program.pick(lambda array: is_float(array) and array.ndim and array.shape[0])
    if found is None:
        return None
    place = int(program.rng.integers(found[1].shape[0]))
    array = found[1].copy()
    array[place] += 1.5
    return found[0].at[place].add(1.5), array


SMOOTH = [
    unary(sg.tanh, np.tanh),
    unary(sg.sin, np.sin),
    unary(sg.exp, np.exp),
    unary(sg.sigmoid, lambda x: (1 / (1 + np.exp(-x))).astype(x.dtype)),
    unary(sg.softplus, lambda x: np.logaddexp(x, x.dtype.type(0))),
    unary(lambda x: sg.sqrt(x * x + 1), lambda x: np.sqrt(x * x + 1)),
    unary(lambda x: sg.log(x * x + 1), lambda x: np.log(x * x + 1)),
    unary(sg.square, np.square, is_number),
    unary(sg.negative, np.negative, is_number),
    binary(sg.add, np.add),
    binary(sg.subtract, np.subtract),
    binary(sg.multiply, np.multiply),
    binary(sg.multiply, np.multiply, is_float),
    binary(lambda x, y: x / (y * y + 1), lambda x, y: x / (y * y + 1), is_float),
    reduction(sg.sum, np.sum),
    reduction(sg.mean, np.mean, is_number, empty=False),
    reduction(sg.prod, np.prod, is_float),
    reduction(sg.var, np.var, is_float, empty=False),
    reduction(
        sg.logsumexp,
        lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
        is_float,
        empty=False,
    ),
    along_axis(sg.softmax, softmax, lambda array: is_float(array) and array.size),
    along_axis(sg.cumsum, np.cumsum, is_number),
    along_axis(sg.flip, np.flip, is_number),
    with_number, with_number, reshaped, transposed, expanded, sliced, sliced, one_row, joined, product, product,
    rolled, taken, replaced,
]  # fmt: skip
OTHERS = [
    unary(sg.abs, np.abs, is_number),
    unary(sg.floor, np.floor),
    unary(sg.sign, np.sign, is_real),
    unary(sg.sqrt, np.sqrt, lambda array: array.dtype.kind == "c"),
    unary(sg.logical_not, np.logical_not, lambda array: True),
    unary(sg.isnan, np.isnan, is_number),
    binary(sg.maximum, np.maximum, is_real),
    binary(sg.minimum, np.minimum, is_real),
    binary(sg.less, np.less, is_real),
    binary(sg.equal, np.equal),
    binary(sg.logical_and, np.logical_and),
    binary(sg.arctan2, np.arctan2, is_float),
    reduction(sg.max, np.max, is_real, empty=False),
    reduction(sg.argmin, np.argmin, is_real, empty=False),
    reduction(sg.argmax, np.argmax, is_real, empty=False),
    reduction(sg.any, np.any),
    along_axis(sg.sort, np.sort),
    along_axis(sg.argsort, lambda x, axis: np.argsort(x, axis=axis, stable=True)),
    chosen, chosen, cast, masked, *[declared] * 8,
]  # fmt: skip
