"""Spoiled models end in an error of symgraph's that names the file, or in a function that verifies, soon and in little
memory.

``SYMGRAPH_CORRUPTIONS=20000 pytest tests/io/test_hostile_onnx.py`` draws that many, of four models.
"""

import tracemalloc

import numpy as np
import pytest

import symgraph as sg

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.effort import measured  # noqa: E402
from tests.io import hostile, hostile_onnx  # noqa: E402
from tests.io.test_hostile import BYTES, LINES  # noqa: E402


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def training():
    x = sg.placeholder("float32", ("n", 4), name="x")
    t = sg.placeholder("int64", ("n",), name="t")
    w = sg.variable(np.ones((4, 3), "float32"), name="w")
    loss = sg.cross_entropy(x @ w, t).mean()
    return sg.onnx.to_proto(sg.function([x, t], loss, updates={w: w - 0.1 * sg.grad(loss, w)}))


def loops():
    x = sg.placeholder("float32", ("n", 4), name="x")
    last, rows = sg.scan(lambda c, row: (c + row, c * row), sg.zeros(4, "float32"), x)
    until = sg.while_loop(lambda s: s.sum() < 9, lambda s: abs(s) * 2, x[0])
    return sg.onnx.to_proto(
        sg.function([x], [last, rows, until, sg.cond(x.sum() > 0, lambda: x * 2, lambda: -x)])
    )


def images():
    """Convolutions, windows, and sizes that are computed, of which one is the value of an input."""
    tensors = {
        "w": np.ones((3, 2, 3, 3), "float32"), "s": [2, -1], "k": [2], "pads": [0, 0, 1, 1, 0, 0, 1, 1], "i": [0, 2],
        "scales": np.array([1, 1, 2, 2], "float32"), "zero": 0, "two": 2, "four": 4,
    }  # fmt: skip
    nodes = [
        ("Pad", "x pads", "p", {}), ("Conv", "p w", "c", {"strides": [2, 2]}), ("Relu", "c", "r", {}),
        ("MaxPool", "r", "m", {"kernel_shape": [2, 2]}), ("Resize", "m  scales", "z", {}),
        ("Shape", "z", "zs", {}), ("Gather", "zs i", "g", {}), ("ConstantOfShape", "g", "o", {}),
        ("Range", "zero four two", "q", {}), ("Tile", "q k", "tiled", {}), ("Reshape", "z s", "f", {}),
        ("TopK", "f count", "top places", {}), ("Einsum", "f f", "e", {"equation": "ij,kj->ik"}),
        ("OneHot", "places four on", "hot", {}), ("Split", "f", "h1 h2", {"num_outputs": 2}),
    ]  # fmt: skip
    tensors["on"] = np.array([0, 1], "float32")
    made = [
        helper.make_node(name, given.split(" "), results.split(), **attributes)
        for name, given, results, attributes in nodes
    ]
    inputs = [info("x", (1, 2, 8, 8)), info("count", (1,), TensorProto.INT64)]
    outputs = [info(name, None) for name in ("o", "tiled", "top", "e", "hot", "h1")]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    graph = helper.make_graph(made, "images", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def functions():
    """Functions of the model's own, and operators that ONNX itself defines by others; data in another file."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], imports
    )
    more = [
        helper.make_node("Twice", ["a"], ["b"], domain="own"),
        helper.make_node("Twice", ["b"], ["c"], domain="own"),
    ]
    nodes = [
        helper.make_node("Four", ["x"], ["y"], domain="own"),
        helper.make_node("SoftmaxCrossEntropyLoss", ["y", "t"], ["z"]),
        helper.make_node("Mul", ["z", "w"], ["out"]),
    ]
    inputs = [info("x", ("n", 4)), info("t", ("n",), TensorProto.INT64)]
    weight = TensorProto(name="w", dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "data.bin", "offset": "0", "length": "8"}.items():
        weight.external_data.add(key=key, value=value)
    graph = helper.make_graph(nodes, "functions", inputs, [info("out", None)], [weight])
    four = helper.make_function("own", "Four", ["a"], ["c"], more, imports)
    return helper.make_model(graph, opset_imports=imports, functions=[twice, four], ir_version=10)


WHOLE = {"training": training, "loops": loops, "images": images, "functions": functions}
EVERY = pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)


def outcome(path, content):
    """The error of symgraph's that loading a file of these bytes ends in, or the function; and the lines that ran."""
    path.write_bytes(content)

    def result():
        try:
            return sg.onnx.load(path)
        except (sg.FileError, sg.UnsupportedOperator) as error:
            return error

    found, lines = measured(result)
    if isinstance(found, Exception):
        assert str(found).startswith(f"{path}: ")
        assert len(str(found)) > len(str(path)) + 10
    elif not found.value_inputs and all(each.shape is not None for each in found._asked):
        sg.verify(found.compiled.graph)
    return found, lines


@EVERY
def test_the_model_itself_is_loaded(make, tmp_path):
    (tmp_path / "data.bin").write_bytes(bytes(8))
    found, lines = outcome(tmp_path / "whole.onnx", make().SerializeToString())

    assert isinstance(found, sg.onnx.OnnxFunction)
    assert LINES > lines


@EVERY
def test_spoiled_models(make, tmp_path, draws):
    (tmp_path / "data.bin").write_bytes(bytes(8))
    whole = make().SerializeToString()
    for seed in range(draws // len(WHOLE)):
        content = hostile_onnx.spoiled(whole, hostile.generator(seed))
        _, lines = outcome(tmp_path / "drawn.onnx", content)

        assert LINES > lines, seed


@EVERY
def test_memory_of_spoiled_models_is_bounded(make, tmp_path, draws):
    (tmp_path / "data.bin").write_bytes(bytes(8))
    whole = make().SerializeToString()
    tracemalloc.start()
    try:
        for seed in range(draws // (10 * len(WHOLE))):
            content = hostile_onnx.spoiled(whole, hostile.generator(seed))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            outcome(tmp_path / "drawn.onnx", content)

            assert BYTES + len(content) > tracemalloc.get_traced_memory()[1] - before, seed
    finally:
        tracemalloc.stop()
