"""What the tests of files share."""

import os

import numpy as np
import pytest

import symgraph as sg


@pytest.fixture
def draws():
    """How many spoiled files are drawn of each kind: SYMGRAPH_CORRUPTIONS, or a few."""
    return int(os.environ.get("SYMGRAPH_CORRUPTIONS", "250"))


@pytest.fixture
def training():
    """A training step and a prediction that share variables, two of them with one name."""
    x = sg.placeholder("float32", ("batch", 4), name="x")
    t = sg.placeholder("int64", ("batch",), name="t")
    w = sg.variable(np.zeros((4, 3), "float32"), name="w")
    b = sg.variable(np.ones(3, "float32"), name="w")
    stream = sg.RandomStream(3, name="noise")
    logits = x @ w + b
    loss = sg.cross_entropy(logits, t).mean()
    gw, gb = sg.grad(loss, [w, b])
    table = sg.constant(np.arange(100, dtype="float32"))
    step = sg.function(
        [x, t],
        {"loss": loss, "more": (stream.bits((2,)), None, [table.sum()])},
        updates={w: w - 0.1 * gw, b: b - 0.1 * gb},
        defaults={t: np.array([0, 1])},
        name="train step",
    )
    return {"train": step, "predict": sg.function([x], sg.softmax(logits))}


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
