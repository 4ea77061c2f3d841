"""Every invariant of a graph has a check, and every check finds what it is for."""

import ctypes
from dataclasses import dataclass, replace

import numpy as np
import pytest

from symgraph.errors import VerifyError
from symgraph.graph.dims import fresh, symbol
from symgraph.graph.graph import Graph, Update, graph
from symgraph.graph.node import Node
from symgraph.graph.op import (
    CONSTANT,
    PLACEHOLDER,
    SIZE,
    VARIABLE,
    Attrs,
    ConstantAttrs,
    ItemAttrs,
    Op,
    SizeAttrs,
    constant,
    placeholder,
    size_value,
)
from symgraph.graph.types import FLOAT32, FLOAT64, INT64, TensorType, TupleType
from symgraph.graph.verify import verify
from symgraph.ops.arithmetic import add
from symgraph.ops.transcendental import exp

x = placeholder("float32", ("n",), name="x")
F32N = TensorType(FLOAT32, (symbol("n"),))


@dataclass(frozen=True, slots=True)
class BodyAttrs(Attrs):
    body: Graph


FIND = Op("find_", lambda x: TensorType(INT64, (fresh(), x.rank)), binds_sizes=True)
FINDS = Op("finds_", lambda x: TupleType((TensorType(INT64, (fresh(),)), x, F32N)), binds_sizes=True)
EACH = Op("each_", lambda x, body: body.outputs[0].type, attrs=BodyAttrs)


def node(op=exp.op, inputs=(x,), attrs=None, type=F32N, deps=None):
    """A node that nothing has checked or interned."""
    return Node(op, inputs, attrs, type, inputs if deps is None else deps, None)


def variable(*shape):
    return VARIABLE(name="w", type=TensorType(FLOAT32, shape))


def refused(check, outputs, inputs=(x,), updates=(), **rest):
    """The message of VerifyError, which begins with the name of the check."""
    with pytest.raises(VerifyError) as caught:
        verify(Graph("broken", inputs, outputs, updates), **rest)
    message = str(caught.value)
    assert message.startswith(f"{check}: "), message
    return message


def test_graphs_that_were_built_in_the_usual_way_verify():
    w = variable(3)
    body = graph([x], [exp(x) + size_value(symbol("m"))], name="body", inner=True)
    y = placeholder("float32", ("m",), name="y")
    found = FIND(x)
    outputs = [
        EACH(x, body=body),
        found,
        FINDS(x),
        size_value(found.shape[0] + symbol("m")),
        constant(np.ones(3)),
    ]
    g = graph([x, y], outputs, {w: add(w, constant(1.0, "float32"))})

    assert verify(g) is None
    assert verify(body, inner=True) is None


def test_acyclic():
    a = node()
    b = node(add.op, (a, x))
    object.__setattr__(a, "inputs", (b,))

    assert "needs it" in refused("acyclic", (b,))
    object.__setattr__(a, "deps", (a,))
    object.__setattr__(a, "inputs", ())
    refused("acyclic", (a,))


def test_dependencies():
    decided = FIND(x).shape[0]

    assert "should be" in refused("dependencies", (node(deps=()),))
    refused("dependencies", (node(deps=(x, constant(1.0))),))
    refused("dependencies", (node(SIZE, (), SizeAttrs(decided), TensorType(INT64, ())),))


def test_attributes():
    assert "ItemAttrs, not None" in refused("attributes", (node(attrs=ItemAttrs(0)),))
    assert "NoneType, not SizeAttrs" in refused("attributes", (node(SIZE, (), None, TensorType(INT64, ())),))
    refused("attributes", (node(SIZE, (), SizeAttrs([3]), TensorType(INT64, ())),))


@pytest.mark.parametrize(
    "array",
    [
        np.ones(3),
        np.broadcast_to(np.ones(2), (2, 2)),
        np.frombuffer(np.ones(3).astype(">f8").tobytes(), ">f8"),
    ],
    ids=["writable", "strided", "foreign"],
)
def test_constants(array):
    type = TensorType(FLOAT64, array.shape)

    assert "read-only" in refused("constants", (node(CONSTANT, (), ConstantAttrs(array), type),))


def test_constants_that_were_changed():
    changed = constant(np.full(3, 123.25))
    value = changed.attrs.value
    ctypes.memset(value.ctypes.data, 0, 8)

    assert "changed" in refused("constants", (changed,))


def test_types():
    assert "exp(f32[n]) is f32[n]" in refused("types", (node(type=TensorType(FLOAT32, (3,))),))
    assert "refuses" in refused("types", (node(add.op, (x, constant(1)), type=F32N),))
    refused("types", (node(FIND, type=TensorType(FLOAT32, FIND(x).shape)),))
    refused("types", (node(FIND, type=TensorType(INT64, (4, 1))),))
    refused("types", (node(FINDS, type=TupleType(())),))
    refused("types", (node(FINDS, type=F32N),))


def test_interned_nodes():
    real = exp(x)

    assert "another one" in refused("interned", (node(),))
    assert real is exp(x)


def test_interned_graphs():
    g = graph([x], [exp(x)])

    refused("interned", (exp(x),))
    with pytest.raises(VerifyError, match="interned: "):
        verify(replace(g))


def test_inputs():
    anonymous = PLACEHOLDER(name="a b", type=F32N)
    twin = placeholder("float64", ("n",), name="x")

    assert "must be a placeholder" in refused("inputs", (), inputs=(exp(x),))
    assert "no identifier" in refused("inputs", (), inputs=(anonymous,))
    refused("inputs", (), inputs=(PLACEHOLDER(name="def", type=F32N),))
    assert "two inputs" in refused("inputs", (), inputs=(x, twin))
    refused("inputs", (), inputs=(x, x))


def test_closed():
    assert "is no input" in refused("closed", (exp(x),), inputs=())
    refused("closed", (), inputs=(), updates=(Update(variable("n"), exp(x)),))


def test_sizes():
    assert "nothing binds q" in refused("sizes", (size_value(symbol("q")),))
    body = graph([], [size_value(symbol("q"))], inner=True)

    with pytest.raises(VerifyError, match=r"sizes: .* nothing binds q"):
        verify(body)


def test_updates():
    w, column = variable(3), placeholder("float32", ("n", 1), name="column")

    assert "only a variable" in refused("updates", (), updates=(Update(x, x),))
    assert "its update is f32[n, 1]" in refused(
        "updates", (), updates=(Update(w, exp(column)),), inputs=(x, column)
    )
    assert "twice" in refused("updates", (), updates=(Update(w, w), Update(w, w)))
    refused("updates", (), updates=(Update(w, constant(np.ones(3))),))
    refused("updates", (), updates=(Update(w, constant(np.ones(4), "float32")),))


def test_inner_graphs():
    broken = Graph("broken", (x,), (node(),), ())
    outer = graph([x], [EACH(x, body=broken)])

    with pytest.raises(VerifyError, match=r"inner graphs: in <graph broken.*interned"):
        verify(outer)
