"""Losses written by hand become the library's."""

import symgraph as sg
from symgraph.graph.graph import graph
from symgraph.optimizations.pipeline import optimize

x = sg.placeholder("float64", ("batch", 8), name="x")
t = sg.placeholder("float64", ("batch", 3), name="t")
w = sg.placeholder("float64", (8, 3), name="w")
b = sg.placeholder("float64", (3,), name="b")
logits = x @ w + b
e = sg.exp(logits)


def optimized(loss):
    return optimize(graph([x, t, w, b], [loss, *sg.grad(loss, [w, b])]), sg.Options(verify=True))[-1].graph


def test_cross_entropy_through_softmax():
    library = optimized(sg.cross_entropy(logits, t).sum())

    assert library is optimized(-(t * sg.log(sg.softmax(logits))).sum())
    assert library is optimized((-t * sg.log(e / e.sum(axis=1, keepdims=True))).sum())
    assert library is optimized(-sg.sum(sg.sum(t * (logits - sg.log(e.sum(axis=1, keepdims=True))), axis=1)))


def test_binary_cross_entropy():
    z = sg.placeholder("float64", ("batch",), name="z")
    p = 1 / (1 + sg.exp(-z))
    y = sg.placeholder("float64", ("batch",), name="y")
    by_hand = sg.function([z, y], -(y * sg.log(p) + (1 - y) * sg.log(1 - p)))
    library = sg.function([z, y], sg.binary_cross_entropy(z, y))

    at = [-800.0, -1.0, 0.0, 2.0, 800.0], [0.0, 1.0, 0.5, 0.0, 1.0]
    assert library(*at).tolist() == by_hand(*at).tolist()
