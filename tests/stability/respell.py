"""The same expression said otherwise, by drawn choices that change no bit of what it computes."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import symgraph as sg
from symgraph.graph.constants import uniform
from symgraph.graph.node import Node
from symgraph.graph.walk import substitute, toposort, transform

SPELLINGS = 20
FILLER = 0.5


@dataclass(frozen=True)
class Spelling:
    """A program with one argument: its input, its result, intermediates it gives too, the array it is called with.

    ``used`` is the part of the argument that the result comes from, and ``place`` where the point lies in that part and
    in the result.
    """

    x: Node
    root: Node
    others: tuple[Node, ...]
    array: np.ndarray
    used: object
    place: tuple[int, ...]


def spelling(number: int, name: str, build: Callable[[Node], Node], point: np.ndarray) -> Spelling:
    """The program that computes ``build`` at a scalar or a vector: as it is written for 0, else a drawn one.

    The same numbers and names draw the same program.

    What is drawn are other words, another shape, an index in between, and intermediates that are seen.
    """
    rng = np.random.default_rng([zlib.crc32(name.encode()), number, point.itemsize])
    array, shape, place = _form(point, rng) if number else (point, point.shape, ())
    x = sg.placeholder(point.dtype, shape, name="x")
    if not number:
        return Spelling(x, build(x), (), array, (), place)
    root, used = in_other_words(build(x), rng), ()
    if rng.integers(3) == 0:
        x, array, root, used = _indexed(x, array, root, rng)
    root = with_arrays(root, rng)
    inner = intermediates(root)
    seen = rng.integers(len(inner), size=2) if inner and rng.integers(2) else ()
    return Spelling(x, root, tuple(inner[i] for i in seen), array, used, place)


def in_other_words(root: Node, rng: np.random.Generator) -> Node:
    """The expression with operands exchanged, differences as sums, squares as powers, and the like."""
    return transform([root], lambda node: _otherwise(node, rng))[0]


def with_arrays(root: Node, rng: np.random.Generator) -> Node:
    """The expression with some of its scalar constants as arrays."""
    return transform([root], lambda node: _with_arrays(node, rng))[0]


def intermediates(root: Node) -> list[Node]:
    """What is computed on the way to the root."""
    return [node for node in toposort([root]) if node.inputs and node is not root]


def _otherwise(node: Node, rng: np.random.Generator) -> Node:
    said = [node, *_alternatives(node)]
    node = said[rng.integers(len(said))]
    if node.op.commutative and rng.integers(2):
        return node.op(*node.inputs[::-1])
    return node


def _alternatives(node: Node) -> Iterator[Node]:
    """Other expressions for one node whose results are the same bits, NaN's sign excepted."""
    op = node.op
    if op is sg.where.op:
        condition, a, b = node.inputs
        yield sg.where(~condition, b, a)
    elif op is sg.negative.op:
        (a,) = node.inputs
        yield -1 * a
        if a.op is sg.multiply.op:
            yield -a.inputs[0] * a.inputs[1]
            yield a.inputs[0] * -a.inputs[1]
    elif len(node.inputs) == 2:
        a, b = node.inputs
        if op is sg.subtract.op:
            yield from (a + (-b), -b + a)
        elif op is sg.add.op and b.op is sg.negative.op:
            yield a - b.inputs[0]
        elif (op is sg.multiply.op and a is b) or (op is sg.pow.op and uniform(b) == 2):
            yield from (a * a, a**2, sg.square(a))
        elif op is sg.greater.op:
            yield b < a
        elif op is sg.less.op:
            yield b > a
        elif op is sg.not_equal.op:
            yield ~(a == b)


def _with_arrays(node: Node, rng: np.random.Generator) -> Node:
    """An elementwise node, some of its constants as arrays of its shape or of its last axis.

    Exponents stay: NumPy squares for the scalar 2 and calls ``pow`` for an array of them.
    """
    if not node.op.elementwise or node.op is sg.pow.op or not node.shape:
        return node

    def drawn(x: Node) -> Node:
        number = uniform(x)
        if number is None or x.shape:
            return x
        last = node.shape[-1:]
        shapes = [(), last, (1,) * node.ndim, node.shape]
        shape = shapes[rng.integers(len(shapes))]
        if all(isinstance(size, int) for size in shape):
            return sg.constant(np.full(shape, number, x.dtype))
        return sg.full_like(node.astype(x.dtype), number)

    inputs = tuple(drawn(x) for x in node.inputs)
    changed = node.op(*inputs)
    return changed if changed.type == node.type else node


def _form(point: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, tuple, tuple[int, ...]]:
    """The point alone, or last in a matrix, with its number of rows known or not."""
    alone = rng.integers(3) == 0
    if alone:
        return point, point.shape, ()
    array = np.full((2, point.size if point.ndim else 3), FILLER, point.dtype)
    place = (-1,) if point.ndim else (-1, -1)
    array[place] = point
    rows = ("n", 2)[rng.integers(2)]
    return array, (rows, array.shape[1]), place


def _indexed(
    x: Node, array: np.ndarray, root: Node, rng: np.random.Generator
) -> tuple[Node, np.ndarray, Node, object]:
    """The expression with an intermediate computed for more elements than are used, and an index in between."""
    inner = [node for node in intermediates(root) if _needs(node, x)]
    filler = np.full_like(array, FILLER)
    if x.ndim == 2 and rng.integers(2):
        middles = inner
        key, shape = np.s_[1:], (x.shape[0] + 1, x.shape[1])
        array = np.concatenate([filler[:1], array])
    else:
        middles = [node for node in inner if _is_elementwise(node, x)]
        if rng.integers(2):
            key, shape, array = np.s_[1], (2, *x.shape), np.stack([filler, array])
        else:
            key, shape, array = np.s_[..., 0], (*x.shape, 2), np.stack([array, filler], axis=-1)
    middle = [x, *middles][rng.integers(len(middles) + 1)]
    long = sg.placeholder(x.dtype, shape, name="x")
    computed = substitute([middle], {x: long})[0]
    return long, array, substitute([root], {x: long[key], middle: computed[key]})[0], key


def _needs(node: Node, x: Node) -> bool:
    return any(each is x for each in toposort([node]))


def _is_elementwise(node: Node, x: Node) -> bool:
    return all(each.op.elementwise or not each.inputs for each in toposort([node], stop={x}))
