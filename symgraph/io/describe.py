"""What a file of programs holds, in words, and in what two of them differ."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.api.function import CompiledFunction, is_node_or_number
from symgraph.api.variable import Variable
from symgraph.graph.graph import Graph
from symgraph.graph.node import Node
from symgraph.graph.op import CONSTANT, PLACEHOLDER, VARIABLE
from symgraph.graph.text import show
from symgraph.io.saving import keyed
from symgraph.optimizations.cost import TYPICAL, cost

Program = CompiledFunction | Graph


def described(what: Program) -> str:
    """Inputs, outputs, updates, variables and ops of a program, and what a call costs, in a table.

    >>> x = placeholder("float64", ("n",), name="x")
    >>> print(described(function([x], {"y": exp(x) + 1})))
    inputs     x: f64[n]
    outputs    y: f64[n]
    ops        add, exp
    constants  1, of 8 bytes
    cost       208 operations, where an unknown size is 16
    """
    made = graph_of(what)
    nodes = made.nodes()
    constants = [node for node in nodes if node.op is CONSTANT]
    counts = Counter(node.op.name for node in nodes if node.op not in (PLACEHOLDER, VARIABLE, CONSTANT))
    rows = {
        "inputs": [_input(what, i, name, node) for i, (name, node) in enumerate(inputs_of(what).items())],
        "outputs": [f"{name}: {node.type}" for name, node in outputs_of(what).items()],
        "variables": [_variable(key, each) for key, each in keyed(made.variables()).items()],
        "updates": [update.variable.name or "variable" for update in made.updates],
        "ops": [", ".join(name if n == 1 else f"{name} {n}" for name, n in sorted(counts.items()))],
        "constants": [f"{len(constants)}, of {sum(map(_size, constants))} bytes"],
        "cost": [f"{cost(made.roots):.0f} operations, where an unknown size is {TYPICAL}"],
    }
    return "\n".join(_table(rows))


def graph_of(what: Program) -> Graph:
    """The program as a graph."""
    return what if isinstance(what, Graph) else what.graph


def inputs_of(what: Program) -> dict[str, Node]:
    """The inputs by the names that a call takes."""
    inputs = graph_of(what).inputs
    names = [node.name or "" for node in inputs] if isinstance(what, Graph) else what._program.names
    return dict(zip(names, inputs, strict=True))


def outputs_of(what: Program) -> dict[str, Node]:
    """The outputs by what they are called in a structure: ``loss``, ``0``, ``metrics.2``; one alone is ``output``."""
    return dict(zip(_places(_structure(what)), graph_of(what).outputs, strict=True))


def _structure(what: Program) -> Any:
    if isinstance(what, Graph):
        return what.outputs if len(what.outputs) != 1 else what.outputs[0]
    return what._outputs


def flat_outputs(function: CompiledFunction, results: Any) -> dict[str, Any]:
    """The results of a call by the names of ``outputs_of``."""
    found: list[Any] = []
    waiting = [(function._outputs, results)]
    while waiting:
        part, result = waiting.pop()
        if part is None:
            continue
        if is_node_or_number(part):
            found.append(result)
            continue
        keys = list(part) if isinstance(part, dict) else range(len(part))
        waiting += [(part[key], result[key]) for key in keys][::-1]
    return dict(zip(_places(function._outputs), found, strict=True))


def differences(a: Mapping[str, Program], b: Mapping[str, Program], names: tuple[str, str]) -> Iterator[str]:
    """Lines that say in what programs differ: their programs, defaults and the values of variables. The user's lines
    do not count."""
    for name in dict.fromkeys([*a, *b]):
        if name not in a or name not in b:
            yield f"{'-' if name in a else '+'} function {name}"
            continue
        old, new = _lines(a[name]), _lines(b[name])
        heads = (f"{names[0]}: {name}", f"{names[1]}: {name}")
        yield from difflib.unified_diff(old, new, *heads, lineterm="")
    before, after = (
        keyed(v for each in side.values() for v in graph_of(each).variables()) for side in (a, b)
    )
    for key in dict.fromkeys([*before, *after]):
        if key not in before or key not in after:
            yield f"{'-' if key in before else '+'} variable {_variable(key, (before | after)[key])}"
        elif (what := _change(before[key], after[key])) is not None:
            yield f"! variable {key}: {what}"


def _lines(what: Program) -> list[str]:
    """The text, and how the program is called."""
    called = [_input(what, i, *row) for i, row in enumerate(inputs_of(what).items())]
    given = [f"{name}: {node.type}" for name, node in outputs_of(what).items()]
    text = show(graph_of(what), origins=False).splitlines()
    return [*text, *(f"# input {each}" for each in called), *(f"# output {each}" for each in given)]


def _change(a: Node, b: Node) -> str | None:
    """In what two variables differ; those of a text have no values."""
    if a.type != b.type:
        return f"{a.type} is {b.type}"
    if not isinstance(a, Variable) or not isinstance(b, Variable):
        return None
    if a.trainable != b.trainable:
        return f"trainable is {b.trainable}"
    x, y = a.value, b.value
    if x.tobytes() == y.tobytes():
        return None
    wide = np.promote_types(np.float64, x.dtype) if x.dtype.kind in "fc" else np.dtype(np.float64)
    with np.errstate(all="ignore"):
        off = np.abs(x.astype(wide) - y.astype(wide))
    return f"{np.count_nonzero(x != y)} of {x.size} values differ, by {np.max(off, initial=0.0):.3g} at most"


def _places(part: Any, path: str = "") -> Iterator[str]:
    if part is None:
        return
    if is_node_or_number(part):
        yield path or "output"
        return
    keys = list(part) if isinstance(part, dict) else range(len(part))
    for key in keys:
        yield from _places(part[key], f"{path}.{key}" if path else str(key))


def _input(what: Program, position: int, name: str, node: Node) -> str:
    default = None if isinstance(what, Graph) else what._defaults.get(position)
    if default is None:
        return f"{name}: {node.type}"
    return f"{name}: {node.type} = {np.array2string(default, threshold=8, separator=', ')}"


def _variable(key: str, node: Node) -> str:
    trainable = not isinstance(node, Variable) or node.trainable
    return f"{key}: {node.type}" + ("" if trainable else ", not trainable")


def _size(node: Node) -> int:
    value: Any = node.attrs.fields()["value"] if node.attrs is not None else None
    return int(value.nbytes)


def _table(rows: Mapping[str, Sequence[str]]) -> Iterator[str]:
    shown = {name: parts for name, parts in rows.items() if any(parts)}
    width = max(map(len, shown))
    for name, parts in shown.items():
        for i, part in enumerate(parts):
            yield f"{name if i == 0 else '':<{width}}  {part}"
