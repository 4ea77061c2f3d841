"""Loops over a function of the user's: ``scan``, ``fori_loop``, ``while_loop`` and ``map``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph.dims import Dim, Size, dim_isqrt, dim_max, same
from symgraph.graph.graph import graph
from symgraph.graph.node import Node, located
from symgraph.graph.op import as_node, items
from symgraph.graph.structure import flatten, is_single, spelled, unflatten
from symgraph.graph.trace import arguments, capture
from symgraph.graph.types import BOOL, INT64, TensorType
from symgraph.ops.control import LOOP
from symgraph.ops.declare import macro

Structure = Any
"""A node or what becomes one, or tuples, lists and dicts of such, nested."""
Segment = str | int | None


@macro()
def scan(
    f: Callable[[Any, Any], Any],
    init: Structure,
    xs: Structure = None,
    length: int | Size | None = None,
    *,
    reverse: bool = False,
    checkpoint: Segment = None,
) -> tuple[Any, Any]:
    """A loop that hands values from turn to turn, goes through the rows of arrays, and stacks rows of others.

    ``f(carry, x)`` takes the carries, in the structure of ``init``, and the rows of ``xs`` along axis 0; it returns the
    carries of the next turn and a structure of values to stack, or None. ``f`` may read nodes from outside. The result
    is the last carries and the stacked values; stacks that nobody uses are not made.

    ``length`` is the number of turns where there are no ``xs``. ``reverse`` goes from the last row to the first.
    ``checkpoint`` chooses what the gradient keeps: None keeps the carries of every turn and what is dear to compute
    again; a number of turns keeps the carries once in so many; "sqrt" once in the root of the number of all turns, so
    that memory grows as that.

    >>> total, sums = scan(lambda total, x: (total + x, total + x), 0.0, asarray([1.0, 2.0, 3.0]))
    >>> evaluate((total, sums))
    (array(6.), array([1., 3., 6.]))

    Raises ShapeError and DTypeError for a carry that changes its sizes or dtype and for arrays of several lengths,
    ArgumentError for what ``f`` may not return.
    """
    through = [as_node(x) for x in flatten(xs, is_single)]
    turns = _turns(through, length)

    def step(n: Node, carry: Any, row: Any) -> tuple[Any, Any]:
        returned = f(carry, row)
        if not isinstance(returned, tuple) or len(returned) != 2:
            text = f"{_name(f)} must return the next carry and what to stack, a pair, not {returned!r}"
            raise located(ArgumentError(text), [])
        return returned

    return _loop(step, init, through, xs, turns, reverse=bool(reverse), checkpoint=checkpoint)


@macro()
def fori_loop(
    lower: int | Size | Node,
    upper: int | Size | Node,
    body: Callable[[Node, Any], Any],
    init: Structure,
    *,
    max_steps: int | Size | None = None,
    checkpoint: Segment = None,
) -> Any:
    """The carries after ``carry = body(i, carry)`` for ``i`` from ``lower`` up to and without ``upper``.

    Bounds that are numbers or sizes are known before the loop; where one is a node, ``max_steps`` bounds the turns,
    which the gradient in reverse needs. ``checkpoint`` is that of ``scan``.

    >>> evaluate(fori_loop(0, 5, lambda i, total: total + i, 0))
    array(10)

    Raises what ``scan`` raises.
    """
    if not isinstance(lower, Node) and not isinstance(upper, Node):
        turns = dim_max(0, upper - lower)

        def step(n: Node, carry: Any, row: Any) -> tuple[Any, None]:
            return body(n if lower == 0 else n + as_node(lower, INT64), carry), None

        return _loop(step, init, [], None, turns, checkpoint=checkpoint)[0]
    if checkpoint is not None:
        raise ArgumentError("checkpoint needs bounds that are numbers or sizes")
    start, stop = as_node(lower, INT64), as_node(upper, INT64)
    _, carry = while_loop(
        lambda state: state[0] < stop,
        lambda state: (state[0] + 1, body(state[0], state[1])),
        (start, init),
        max_steps=max_steps,
    )
    return carry


@macro()
def while_loop(
    condition: Callable[[Any], Any],
    body: Callable[[Any], Any],
    init: Structure,
    *,
    max_steps: int | Size | None = None,
) -> Any:
    """The carries after ``carry = body(carry)``, again and again while ``condition(carry)`` holds.

    ``condition`` gives one bool. ``max_steps`` ends the loop after so many turns; the gradient in reverse needs it,
    since it keeps the carries of each turn.

    >>> evaluate(while_loop(lambda x: x < 100, lambda x: x * 2, 1))
    array(128)

    Raises DTypeError for a condition that is not one bool, and what ``scan`` raises.
    """
    return _loop(lambda n, carry, row: (body(carry), None), init, [], None, max_steps, condition)[0]


@macro()
def map(f: Callable[[Any], Any], xs: Structure, *, checkpoint: Segment = None) -> Any:
    """What ``f`` makes of each row of ``xs`` along axis 0, one after the other, stacked.

    >>> evaluate(map(lambda row: row.sum(), asarray([[1.0, 2.0], [3.0, 4.0]])))
    array([3., 7.])

    Raises what ``scan`` raises.
    """
    return scan(lambda carry, row: (carry, f(row)), None, xs, checkpoint=checkpoint)[1]


# What they share


def _loop(
    step: Callable[[Node, Any, Any], tuple[Any, Any]],
    init: Structure,
    through: Sequence[Node],
    xs: Structure,
    turns: Dim | None,
    condition: Callable[[Any], Any] | None = None,
    *,
    reverse: bool = False,
    checkpoint: Segment = None,
) -> tuple[Any, Any]:
    """The carries and stacks in the structures that ``step`` gives them."""
    given = flatten(init, is_single)
    types = [TensorType(x.row, x.shape[1:]) for x in through]

    def traced(carries: Sequence[Any], rows: Sequence[Node], n: Node) -> tuple[list[Any], Any]:
        carry, stacked = step(
            n, unflatten(init, is_single, list(carries)), unflatten(xs, is_single, list(rows))
        )
        return _like(carry, init), stacked

    if any(_is_number(x) for x in given):  # what a number is to become is what the function makes of it
        with arguments([TensorType(INT64, ()), *types]) as (n, *rows):
            made, _ = traced(given, rows, n)
        given = [as_node(x, as_node(y).row) if _is_number(x) else x for x, y in zip(given, made, strict=True)]
    start = [as_node(x) for x in given]
    with arguments([TensorType(INT64, ()), *(x.tensor for x in start), *types]) as (n, *stands):
        made, stacked = traced(stands[: len(start)], stands[len(start) :], n)
        after = [as_node(x, y.row) if _is_number(x) else as_node(x) for x, y in zip(made, start, strict=True)]
        _check_carries(start, after)
        rows = [as_node(x) for x in flatten(stacked, is_single)]
        asked = (
            [] if condition is None else [_asked(condition, unflatten(init, is_single, stands[: len(start)]))]
        )
        cut = capture([n, *stands], [*after, *rows, *asked])
    count = len(after) + len(rows)
    body = graph([n, *stands, *cut.stands], cut.roots[:count], name="body", inner=True)
    until = None
    if condition is not None:
        until = graph(
            [n, *stands[: len(start)], *cut.stands], cut.roots[count:], name="condition", inner=True
        )
    if not start and not rows:
        return init, stacked
    results = items(
        LOOP(
            *start, *through, *cut.outer,
            body=body, condition=until, carries=len(start), rows=len(through), length=turns,
            reverse=reverse, segment=_segment(checkpoint, turns),
        )
    )  # fmt: skip
    last = unflatten(init, is_single, list(results[: len(start)]))
    return last, unflatten(stacked, is_single, list(results[len(start) : count]))


def _turns(through: Sequence[Node], length: Any) -> Dim:
    sizes = [*([] if length is None else [length]), *(_rows(x) for x in through)]
    if not sizes:
        raise ArgumentError("needs arrays to go through, or a length")
    for x, size in zip(through, sizes[len(sizes) - len(through) :], strict=True):
        if same(size, sizes[0]) is not True:
            raise located(ShapeError(f"goes through {x.type} in {sizes[0]} turns; they must agree"), [x])
    return sizes[0]  # type: ignore[no-any-return]


def _rows(x: Node) -> Dim:
    if not x.shape:
        raise located(ShapeError(f"goes through the rows of {x.type}, which is a scalar"), [x])
    return x.shape[0]


def _check_carries(before: Sequence[Node], after: Sequence[Node]) -> None:
    for x, y in zip(before, after, strict=True):
        if x.row is not y.row:
            text = (
                f"a carry begins as {x.type} and becomes {y.type}; it must keep its dtype (x.astype converts)"
            )
            raise located(DTypeError(text), [x, y])
        if x.type != y.type:
            text = f"a carry begins as {x.type} and becomes {y.type}; it must keep its sizes"
            raise located(ShapeError(text), [x, y])


def _asked(condition: Callable[[Any], Any], carry: Any) -> Node:
    answer = as_node(condition(carry))
    if answer.tensor != TensorType(BOOL, ()):
        raise located(DTypeError(f"the condition gives {answer.type}; it must be one bool"), [answer])
    return answer


def _segment(checkpoint: Segment, turns: Dim | None) -> Dim | None:
    if checkpoint is None:
        return None
    if checkpoint == "sqrt" and turns is not None:
        return dim_max(1, dim_isqrt(turns))
    if isinstance(checkpoint, int) and not isinstance(checkpoint, bool) and checkpoint > 0:
        return checkpoint
    raise located(ArgumentError(f'checkpoint is None, "sqrt" or a number of turns, not {checkpoint!r}'), [])


def _like(returned: Any, init: Structure) -> list[Any]:
    """The leaves of what a function returned, which has to have the structure of the carries."""
    leaves = flatten(returned, is_single)
    if spelled(returned) != spelled(init):
        text = f"the carry begins as {spelled(init)} and becomes {spelled(returned)}; structures must agree"
        raise located(ArgumentError(text), [])
    return leaves


def _is_number(x: Any) -> bool:
    return isinstance(x, (bool, int, float, complex)) and not hasattr(x, "dtype")


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "the function")
