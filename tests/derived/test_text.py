"""The text of every function's graph reads back into the identical graph."""

import pytest

import symgraph as sg
from symgraph.graph.graph import graph
from symgraph.graph.parse import parse
from symgraph.graph.text import show
from tests.derived.declared import FUNCTIONS_BY_NAME, calls, failures

EVERY = pytest.mark.parametrize("f", FUNCTIONS_BY_NAME.values(), ids=FUNCTIONS_BY_NAME)
PRECISE = ("float64", "complex128")


@EVERY
def test_text_reads_back(f):
    assert not failures(f, ((call, lambda call=call: lost(call, call.outputs())) for call in calls(f)))


@EVERY
def test_symbolic_text_reads_back(f):
    drawn = calls(f, (*PRECISE, f.dtypes[0]), symbolic=True)

    assert not failures(f, ((call, lambda call=call: lost(call, call.outputs())) for call in drawn))


@pytest.mark.parametrize(
    "f", [f for f in FUNCTIONS_BY_NAME.values() if f.differentiable], ids=lambda f: f.name
)
def test_text_of_the_gradient_reads_back(f):
    drawn = calls(f, PRECISE, symbolic=True)

    assert not failures(f, ((call, lambda call=call: lost(call, gradients(call))) for call in drawn))


def gradients(call):
    outputs = [node for node in call.outputs() if node.row.is_inexact]
    inputs = [node for node in call.nodes if node.row.is_inexact]
    return sg.vjp(outputs, inputs, [sg.ones_like(node) for node in outputs])


def lost(call, outputs):
    """The text, if it does not read back."""
    program = graph(call.nodes, outputs)
    text = show(program)
    return None if parse(text) is program else f"another graph is read from\n{text}"
