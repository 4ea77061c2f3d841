"""Stable forms and gradients that another process found are those that are found here."""

import gc
import marshal

import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.api import stable
from symgraph.graph.walk import toposort
from symgraph.optimizations import pipeline
from symgraph.runtime import elf
from symgraph.runtime.cache import Cache
from symgraph.runtime.code import code
from tests.fuzz.drawing import draw_program

pytestmark = [
    pytest.mark.skipif(not elf.is_known(), reason="programs are recalled where code loads without LLVM"),
    pytest.mark.usefixtures("place"),
]


# Stable forms


@pytest.fixture
def rules_are_far(monkeypatch):
    """As if nobody had imported the rules; and forms are written at once."""
    monkeypatch.setattr(code(), "at_leisure", lambda task: task())
    monkeypatch.setattr(stable, "_RULES", "nobody.has.imported.this")
    monkeypatch.setattr(stable, "_written", [0])


def nobody_asks(outputs, keep):
    raise LookupError


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("group", range(4))
def test_stable_forms_are_those_that_the_rules_make(rules_are_far, group, smooth, monkeypatch):
    recalled = 0
    for seed in range(group * 10, group * 10 + 10):
        stable._written[0] = 0
        program = draw_program(seed, smooth=smooth)
        outputs, inputs = [node for node, _ in program.values[-3:]], [node for node, _ in program.inputs]
        expected = pipeline.stabilized(outputs, inputs)
        assert all(a is b for a, b in zip(stable.stabilized(outputs, inputs), expected, strict=True))
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, "stabilized", nobody_asks)
            try:
                found = stable.stabilized(outputs, inputs)
            except LookupError:
                continue
        recalled += 1
        assert all(a is b for a, b in zip(found, expected, strict=True))

    assert recalled >= 5


def test_nodes_of_a_form_have_the_lines_that_rules_give_them(rules_are_far):
    x = sg.placeholder("float64", ("n",), name="x")
    loss = sg.log(1 + sg.exp(x)).sum() + (x**2).mean()
    lines = [(str(node.op), node.origin) for node in toposort(stable.stabilized([loss], [x]))]
    gc.collect()
    found = stable.stabilized([loss], [x])

    assert lines == [(str(node.op), node.origin) for node in toposort(found)]
    assert "softplus" in str(lines)


# Gradients


def asked(loss, inputs):
    """All that there is to say of a gradient and of what it needs, but which objects these are."""
    nodes = sg.grad(loss, inputs, disconnected="zero")
    order = toposort(nodes)
    numbers = {node: n for n, node in enumerate(order)}
    rows = [
        (node.op.name, repr(node.attrs), str(node.type), node.origin, [numbers[x] for x in node.deps])
        for node in order
    ]
    return rows, [numbers[node] for node in nodes]


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("group", range(4))
def test_gradients_are_those_that_were_found_first(rules_are_far, group, smooth, monkeypatch):
    recalled = 0
    for seed in range(group * 10, group * 10 + 10):
        stable._written[0] = 0
        program = draw_program(seed, smooth=smooth)
        outputs = [node for node, _ in program.values[-3:] if node.row.is_float]
        inputs = [node for node, _ in program.inputs if node.row.is_float]
        if not outputs or not inputs:
            continue
        loss = sum(node.sum().astype("float64") for node in outputs)
        try:
            expected = asked(loss, inputs)
        except sg.GradientError:  # of an incomplete gamma function
            continue
        gc.collect()  # none of its nodes is there any more
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, "stabilized", nobody_asks)
            try:
                found = asked(loss, inputs)
            except LookupError:
                continue
        recalled += 1
        assert expected == found

    assert recalled >= 5


def test_gradients_of_something_else_are_others(rules_are_far, monkeypatch):
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    loss = (x * x * y).sum()
    sg.grad(loss, [x])
    monkeypatch.setattr(pipeline, "stabilized", nobody_asks)

    assert 1 == len(sg.grad(loss, [x]))
    for other in ([y], [x, y], [y, x], [x, x]):
        with pytest.raises(LookupError):
            sg.grad(loss, other)
    with pytest.raises(LookupError):
        sg.grad(loss, [x], disconnected="zero")
    with pytest.raises(LookupError):
        sg.grad((x * x * x).sum(), [x])


def test_a_list_that_its_user_changes_is_not_what_was_found(rules_are_far, monkeypatch):
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    loss, tasks = (x * x * y).sum(), []
    monkeypatch.setattr(code(), "at_leisure", tasks.append)
    found = sg.grad(loss, [x, y])
    expected = tuple(found)
    found.reverse()
    tasks.pop()()
    monkeypatch.setattr(pipeline, "stabilized", nobody_asks)

    assert all(a is b for a, b in zip(expected, sg.grad(loss, [x, y]), strict=True))


def test_what_has_no_gradient_is_said_again(rules_are_far):
    x, y = (sg.placeholder("float64", ("n",), name=name) for name in "xy")
    k = sg.placeholder("int64", ("n",), name="k")
    for wrt, text in ([y], "not at all"), ([k], "int64"), (["x"], "str"):
        for _ in range(2):
            with pytest.raises(sg.GradientError, match=text):
                sg.grad((x * k).sum(), wrt)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"nonsense", marshal.dumps(3), marshal.dumps(([], [], [999])),
        marshal.dumps(([[("float64",)]], [("tanh", [999], None, 0, 0)], [0])),
        marshal.dumps(([[("float64", "n +")]], [], [0])),
    ],
)  # fmt: skip
def test_forms_that_nobody_wrote_are_not_taken(rules_are_far, place, content):
    x = sg.placeholder("float64", ("n",), name="x")
    loss = sg.log(1 + sg.exp(x)).sum()
    expected = stable.stabilized([loss], [x])
    nodes = toposort([loss])
    Cache(place).put(stable._key("stable", nodes, [loss], [x]), content)

    assert all(a is b for a, b in zip(stable.stabilized([loss], [x]), expected, strict=True))
