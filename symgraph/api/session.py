"""Session: fetches run as in TensorFlow 1, on the session's own copies of all variables."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgraph.api.program import OwnValues, Program
from symgraph.api.updates import Assign, Group, group
from symgraph.api.variable import Variable
from symgraph.errors import ArgumentError, GraphError
from symgraph.graph.evaluate import Array
from symgraph.graph.node import Node, located
from symgraph.graph.operators import FUNCTIONS
from symgraph.graph.structure import flatten, unflatten
from symgraph.options import USUAL, Options

_KEPT_PROGRAMS = 256


class Session:
    """Runs fetches; every variable has a value of its own in each session, copied from the variable at first use.

    >>> x = placeholder("float64", (), name="x")
    >>> total = variable(0.0, name="total")
    >>> with Session() as session:
    ...     value, _ = session.run([x * 2, assign_add(total, x)], {x: 3.0})
    ...     print(value, session.run(total), total.value)
    6.0 3.0 0.0
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or USUAL
        self._store = _SessionValues()
        self._programs: OrderedDict[Any, tuple[Program, Any]] = OrderedDict()
        self._lock = threading.RLock()
        self._closed = False

    def run(self, fetches: Any, feed_dict: Mapping[Node, Any] | None = None) -> Any:
        """The values of the fetches: nodes, assignments, groups, None, in nested tuples, lists and dicts.

        A feed may be given for any node; what it was computed from then does not run. A node fetched twice is
        computed once. An assignment gives its new value, a group None; all read the values from before the run, and
        none happens when the run fails.

        Raises ArgumentError for what cannot be fetched or fed, GraphError for a missing feed or a variable assigned
        twice, DTypeError and ShapeError for a feed that does not fit its node.
        """
        feed = dict(feed_dict or {})
        program = self._program(fetches, tuple(feed))
        return self._run(program, fetches, list(feed.values()))

    def make_callable(self, fetches: Any, feed_list: Sequence[Node] = ()) -> Callable[..., Any]:
        """``run`` of these fetches as a function of the values to feed, in order."""
        program = self._program(fetches, tuple(feed_list))

        def call(*values: Any) -> Any:
            if len(values) != len(feed_list):
                raise ArgumentError(
                    f"this callable takes {len(feed_list)} values and was given {len(values)}"
                )
            return self._run(program, fetches, list(values))

        return call

    def close(self) -> None:
        """Forget all values and programs; a closed session runs nothing."""
        self._closed = True
        self._programs.clear()
        self._store.clear()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, program: Program, fetches: Any, values: list[Any]) -> Any:
        if self._closed:
            raise located(GraphError("this session is closed"), [])
        with self._lock:
            results = program.run(values, self._store)
        remaining = iter(results)
        leaves = [
            None if isinstance(leaf, Group) else next(remaining) for leaf in flatten(fetches, _is_fetch)
        ]
        return unflatten(fetches, _is_fetch, leaves)

    def _program(self, fetches: Any, feeds: tuple[Node, ...]) -> Program:
        if self._closed:
            raise located(GraphError("this session is closed"), [])
        leaves = _leaves(fetches)
        key = (tuple(map(id, leaves)), tuple(map(id, feeds)))
        with self._lock:
            if key in self._programs:
                self._programs.move_to_end(key)
                return self._programs[key][0]
            program = _compile(leaves, feeds, self._options)
            self._programs[key] = program, (leaves, feeds)
            if len(self._programs) > _KEPT_PROGRAMS:
                self._programs.popitem(last=False)
        return program


class _SessionValues:
    """Values of variables inside one session."""

    def __init__(self) -> None:
        self._arrays: dict[Variable, Array] = {}

    def read(self, variables: Sequence[Variable]) -> list[Array]:
        for variable in variables:
            if variable not in self._arrays:
                self._arrays[variable] = variable.value
        return [self._arrays[variable] for variable in variables]

    def write(self, values: Mapping[Variable, Array]) -> None:
        self._arrays.update(values)

    def clear(self) -> None:
        self._arrays.clear()


def evaluate_node(node: Node, feed_dict: Mapping[Node, Any] | None = None) -> Array:
    """The value of one node, variables having their own values: ``node.eval({x: 1.0})``."""
    feed = dict(feed_dict or {})
    return _compile([node], tuple(feed), USUAL).run(list(feed.values()), OwnValues())[0]


FUNCTIONS["__eval__"] = evaluate_node


def _is_fetch(value: Any) -> bool:
    return isinstance(value, (Node, Assign, Group))


def _leaves(fetches: Any) -> list[Any]:
    try:
        return flatten(fetches, _is_fetch)
    except TypeError as error:
        found = error.args[0]
        text = f"a fetch is a node, an assignment, a group or None, not {found!r} ({type(found).__name__})"
        raise located(ArgumentError(text), []) from None


def _compile(leaves: Sequence[Any], feeds: tuple[Any, ...], options: Options) -> Program:
    for node in feeds:
        if not isinstance(node, Node):
            raise located(
                ArgumentError(f"a feed is given for a node, not for {node!r} ({type(node).__name__})"), []
            )
    updates: dict[Node, Node] = {}
    outputs: list[Node] = []
    for leaf in leaves:
        for made in group(leaf).assigns if isinstance(leaf, (Assign, Group)) else ():
            if updates.setdefault(made.variable, made.value) is not made.value:
                text = f"the variable {made.variable.name!r} is assigned two different values in one run"
                raise located(GraphError(text), [made.variable])
        if isinstance(leaf, Node):
            outputs.append(leaf)
        elif isinstance(leaf, Assign):
            outputs.append(leaf.value)
    return Program(list(feeds), outputs, updates, "session", options, unused_inputs=True)
