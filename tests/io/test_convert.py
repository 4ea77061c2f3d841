"""``symgraph convert``: ONNX models become files of programs, and programs models."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.cli import main

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper  # noqa: E402


@pytest.fixture
def files(tmp_path, training):
    """A file of two functions, a file of one, a text, and a place for a model."""
    sg.save(tmp_path / "two.sg", training)
    training["predict"].save(tmp_path / "one.sg")
    (tmp_path / "text.txt").write_text("def f(x: f32[n]):\n    v0: f32[n] = exp(x)\n    return v0\n")
    return lambda name: str(tmp_path / name)


def refused(capsys, *command, status):
    """What is said of a command that ends with this status."""
    try:
        found = main(["convert", *command])
    except SystemExit as stop:
        found = stop.code
    said = capsys.readouterr().err.splitlines()
    assert status == found
    return said[-1]


def test_a_function_becomes_a_model_and_a_file_again(files, images, training):
    assert 0 == main(["convert", files("one.sg"), files("m.onnx"), "--opset", "18"])
    assert 18 == onnx.load(files("m.onnx")).opset_import[0].version
    assert 0 == main(["convert", files("m.onnx"), files("back.sg")])

    again = sg.load(files("back.sg"))
    expected = training["predict"](images)
    np.testing.assert_allclose(again(images)["output"], expected, rtol=1e-6)
    np.testing.assert_allclose(again(x=images[:1])["output"], expected[:1], rtol=1e-6)
    assert () == again.variables


def test_one_of_several_functions(files, images, training):
    assert 0 == main(["convert", files("two.sg"), files("m.onnx"), "--function", "train"])

    model = onnx.load(files("m.onnx"))
    assert 21 == model.opset_import[0].version
    assert "train step" == model.graph.name
    assert {"w", "w_2", "noise"} <= {each.name for each in model.graph.initializer}
    assert ["w_next", "w_2_next", "noise_next"] == [
        each.name for each in model.graph.output if "next" in each.name
    ]


def test_weights_become_variables_where_they_are_asked_for(files, images, capsys):
    main(["convert", files("one.sg"), files("m.onnx")])
    assert 0 == main(["convert", files("m.onnx"), files("back.sg"), "--variables"])

    assert ["w", "w_2"] == [each.name for each in sg.load(files("back.sg")).variables]
    assert 0 == main(["show", files("back.sg")])
    assert "# variables  w: f32[4, 3]" in capsys.readouterr().out


def test_a_text_becomes_a_model(files):
    assert 0 == main(["convert", files("text.txt"), files("m.onnx")])

    np.testing.assert_allclose(sg.onnx.load(files("m.onnx"))([0.0, 1.0]), np.exp([0.0, 1.0]), rtol=1e-6)


def test_an_input_that_decides_sizes_is_given(files, capsys):
    infos = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n",))]
    infos += [helper.make_tensor_value_info("s", TensorProto.INT64, (2,))]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "s"], ["y"])], "shaped", infos, [out])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), files("m.onnx")
    )
    np.save(files("s.npy"), np.array([2, -1]))

    assert "sizes depend on s: " in refused(capsys, files("m.onnx"), files("b.sg"), status=1)
    assert 0 == main(["convert", files("m.onnx"), files("b.sg"), "--given", f"s={files('s.npy')}"])
    assert (2, 3) == sg.load(files("b.sg"))(np.zeros(6, "float32"))["y"].shape


def test_what_cannot_be_converted(files, tmp_path, capsys):
    (tmp_path / "odd.onnx").write_bytes(b"PK")
    special = sg.placeholder("float64", ("n",), name="x")
    sg.save(tmp_path / "special.sg", sg.function([special], sg.gammaln(special)))
    one, two = files("one.sg"), files("two.sg")
    for command, status, fault in [
        ([two, files("m.onnx")], 1, "two.sg has train, predict: name one with --function"),
        ([two, files("m.onnx"), "--function", "test"], 1, "has no function 'test'; it has train, predict"),
        ([one, files("m.onnx"), "--opset", "7"], 1, "the opset is 7; it must be 18 to "),
        ([files("special.sg"), files("m.onnx")], 1, "gammaln (test_convert.py:"),
        ([files("odd.onnx"), files("b.sg")], 1, "odd.onnx: is no ONNX model"),
        ([files("gone.onnx"), files("b.sg")], 1, "gone.onnx: cannot be read: No such file"),
        ([one, files("b.sg")], 2, "converts .onnx to .sg, and other files to .onnx; not "),
        ([one, files("b.txt")], 2, "converts .onnx to .sg"),
        ([files("odd.onnx"), files("b.onnx")], 2, "converts .onnx to .sg"),
        ([one, files("m.onnx"), "--variables"], 2, "--variables and --given are for what is read from a .onnx file"),
        ([files("odd.onnx"), files("b.sg"), "--opset", "20"], 2, "--function and --opset are for what becomes"),
        ([one, files("m.onnx"), "--opset", "0"], 2, "argument --opset: 0 is not positive"),
    ]:  # fmt: skip
        assert fault in refused(capsys, *command, status=status)
        assert not (tmp_path / "m.onnx").exists()
        assert not (tmp_path / "b.sg").exists()
