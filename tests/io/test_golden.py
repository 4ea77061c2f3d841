"""Files of every format that there was are read for ever, and mean what they meant.

``v1.sg`` was written by ``write`` below; a new format gets a file of its own, and old ones are never written again.
"""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import symgraph as sg
from symgraph.io.manifest import FORMAT

GOLDEN = Path(__file__).parent / "golden"


def write(path):
    """What is in v1.sg: state, defaults, structures, loops, branches, every kind of array."""
    x = sg.placeholder("float64", ("n", 3), name="x")
    rate = sg.placeholder("float64", (), name="rate")
    w = sg.variable(np.array([1.0, 2.0, 3.0]), name="w")
    half = sg.variable(np.array([1.5, -2.0]).astype(ml_dtypes.bfloat16), name="w", trainable=False)
    turn = sg.variable(np.array([1j, 2.0]), name="turn / 2")
    stream = sg.RandomStream(7, name="stream")
    table = sg.constant(np.arange(40, dtype="int16").reshape(20, 2))
    loss = ((x @ w) ** 2).mean()
    (slope,) = sg.grad(loss, [w])
    last, sums = sg.scan(lambda c, row: (c + row.sum(), c), sg.constant(0.0), x)
    train = sg.function(
        [x, rate],
        {"loss": loss, "draws": [stream.bits((3,)), None], "turned": (turn * 1j, half.astype("float32"))},
        updates={w: w - rate * slope},
        defaults={rate: 0.1},
        name="train step",
    )
    look = sg.function(
        [x],
        (
            last,
            sums,
            sg.cond(last > 0, lambda: sg.softmax(x), lambda: -x),
            table.sum(),
            sg.constant([True, False]),
        ),
    )
    sg.save(path, {"train": train, "look": look}, lines=False)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v*.sg")), ids=lambda path: path.stem)
def test_a_golden_file(path):
    f = sg.load(path)
    x = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])

    assert ["train", "look"] == list(f)
    last, sums, chosen, total, flags = f["look"](x)
    assert 3.0 == last
    assert [0.0, 1.0] == sums.tolist()
    np.testing.assert_allclose(np.exp(x) / np.exp(x).sum(-1, keepdims=True), chosen, rtol=1e-14)
    np.testing.assert_array_equal(np.ones((2, 3)), f["look"](-np.ones((2, 3)))[2])
    assert (40 * 39 // 2, [True, False]) == (total, flags.tolist())

    w = np.array([1.0, 2.0, 3.0])
    bits = []
    for rate in (None, 0.5):
        found = f["train"](x) if rate is None else f["train"](x, rate)
        np.testing.assert_allclose(((x @ w) ** 2).mean(), found["loss"], rtol=1e-14)
        assert found["draws"][1] is None
        assert ([-1.0, 2j], [1.5, -2.0]) == (found["turned"][0].tolist(), found["turned"][1].tolist())
        bits.append(found["draws"][0].tolist())
        w = w - (rate or 0.1) * x.T @ (x @ w)
    np.testing.assert_allclose(w, f["train"].variables[0].value, rtol=1e-14)
    stream = sg.RandomStream(7)
    draw = sg.function([], stream.bits((3,)))
    assert bits == [draw().tolist(), draw().tolist()]
    names = [(each.name, each.trainable) for each in f["train"].variables]
    assert sorted([("w", True), ("w", False), ("turn / 2", True), ("stream", False)]) == sorted(names)


def test_there_is_one_for_this_format():
    assert (GOLDEN / f"v{FORMAT}.sg").exists()
