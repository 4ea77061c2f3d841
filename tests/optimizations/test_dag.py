"""The steps of plans as graphs of networkx."""

import subprocess
import sys

import networkx
import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import ArgumentError
from symgraph.graph.graph import graph
from symgraph.optimizations.dag import bottlenecks, critical_path, generations, to_networkx
from symgraph.optimizations.plan import plan
from tests.fuzz.drawing import draw_program

x = sg.placeholder("float32", ("n", 8), name="x")
w = sg.placeholder("float32", (8, 8), name="w")


def planned(*outputs):
    given = [node for node in sg.toposort(outputs) if node.op.name == "placeholder"]
    return plan(graph(given, outputs))


def test_every_step_and_array_is_a_node():
    made = to_networkx(planned(sg.exp(x @ w) @ w.T))

    assert isinstance(made, networkx.DiGraph)
    assert {
        "x": "given",
        "w": "given",
        "matmul_0": "call",
        "kernel_0": "kernel",
        "transpose_0": "view",
        "matmul_1": "call",
        "result_0": "result",
    } == dict(made.nodes(data="kind"))
    assert ("exp",) == made.nodes["kernel_0"]["ops"]
    assert "kernel_0: exp" == made.nodes["kernel_0"]["label"]
    assert "x: f32[n, 8]" == made.nodes["x"]["label"]


def test_every_value_that_passes_is_an_edge():
    made = to_networkx(planned(sg.exp(x @ w) @ w))

    assert [
        ("matmul_0", "kernel_0", "f32[n, 8]", "32*n"),
        ("w", "matmul_0", "f32[8, 8]", 256),
        ("x", "matmul_0", "f32[n, 8]", "32*n"),
    ] == sorted(
        (a, b, value["type"], value["bytes"])
        for a, b, value in made.edges(data=True)
        if b in ("kernel_0", "matmul_0")
    )


def test_two_values_between_two_steps_are_two_edges():
    lower, upper = sg.exp(x), sg.sin(x)
    made = to_networkx(planned(sg.concatenate([lower, upper])))

    assert ["f32[n, 8]"] * 2 == [value["type"] for value in made["kernel_0"]["concat_0"].values()]


def test_several_results_of_one_step_are_counted_together():
    rows, columns = sg.nonzero(w)
    made = to_networkx(planned(rows, columns))

    assert {(f"({rows.type}, {columns.type})", f"16*{rows.shape[0]}")} == {
        (value["type"], value["bytes"]) for _, _, value in made.out_edges("nonzero_0", data=True)
    }


def test_names_are_unique():
    outputs = [
        sg.exp(sg.placeholder("float32", ("n",), name=name)) @ w[0, 0:1]
        for name in ("kernel_0", "x", "matmul_0")
    ]
    unnamed = sg.variable(np.ones(3)) + sg.variable(np.zeros(3))
    made = to_networkx(plan(graph([], [unnamed])))
    again = to_networkx(planned(*outputs))

    assert len(made) == 2 + 1 + 1
    assert {"kernel_0", "x", "matmul_0"} <= {a for a, kind in again.nodes(data="kind") if kind == "given"}
    assert 3 == sum(kind == "result" for _, kind in again.nodes(data="kind"))


def test_a_result_that_is_given_or_constant_is_a_node():
    made = to_networkx(plan(graph([x], [x, sg.constant(1.0)])))

    assert ["x", "result_0", "result_1"] == list(made)
    assert [("x", "result_0")] == list(made.edges())


def test_the_critical_path_goes_through_what_costs_most():
    deep = w
    for _ in range(5):
        deep = sg.sum(deep, axis=0) + w[:, :1] * 0
    heavy = planned((w @ w) @ w, deep)

    assert ["w", "matmul_0", "matmul_1", "result_0"] == critical_path(heavy)


def test_generations_are_in_order():
    made = planned(sg.exp(x @ w) @ w, sg.sum(w))
    where = {name: number for number, names in enumerate(generations(made)) for name in names}

    assert 0 == where["x"] == where["w"]
    assert all(where[a] < where[b] for a, b in to_networkx(made).edges())


def test_bottlenecks_are_where_all_ways_meet():
    product = sg.exp(x @ w)
    made = planned(product @ w.T, product)

    assert ["matmul_0", "kernel_0", "matmul_1", "result_0"] == bottlenecks(planned(product @ w.T), "x")
    assert ["matmul_1", "result_0"] == bottlenecks(planned(product @ w.T), "w")
    assert ["matmul_0", "kernel_0"] == bottlenecks(made, "x")
    assert [] == bottlenecks(made, "w")
    assert [] == bottlenecks(made, "result_1")
    with pytest.raises(ArgumentError, match="no step and no array called 'y'"):
        bottlenecks(made, "y")


@pytest.mark.parametrize("seed", range(10))
def test_plans_of_drawn_programs_have_no_cycles(seed):
    made = planned(*(node for node, _ in draw_program(seed).values))
    steps = to_networkx(made)

    assert networkx.is_directed_acyclic_graph(steps)
    assert len(steps) == len(made.given) + len(made.steps) + len(made.results)
    assert critical_path(made)[-1].startswith("result")
    assert sorted(steps) == sorted(name for names in generations(made) for name in names)
    for start in (a for a, kind in steps.nodes(data="kind") if kind == "given"):
        results = [b for b in networkx.descendants(steps, start) if steps.nodes[b]["kind"] == "result"]
        parting = [
            a
            for a in networkx.descendants(steps, start)
            if all(
                a == b or not networkx.has_path(networkx.restricted_view(steps, [a], []), start, b)
                for b in results
            )
        ]
        assert set(bottlenecks(made, start)) == (set(parting) if results else set())


def test_networkx_is_imported_when_it_is_asked_for():
    code = "import symgraph.optimizations.dag, sys; sys.exit('networkx' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], timeout=60).returncode
