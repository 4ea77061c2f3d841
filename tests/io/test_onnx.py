"""Models in the ONNX format: the fast part of ONNX's own suite, sizes that a call binds, and models that lie."""

import os
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
CASES = sorted(
    path.parent
    for kind in ("pytorch-operator", "pytorch-converted")
    for path in (DATA / kind).glob("*/model.onnx")
)


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs=("y",), tensors=None, opset=21, functions=()):
    """A model of nodes; inputs are shapes of float32, or value infos; tensors are arrays by name."""
    given = [info(name, shape) if isinstance(shape, tuple) else shape for name, shape in inputs.items()]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in (tensors or {}).items()]
    graph = helper.make_graph(nodes, "test", given, [info(name, None) for name in outputs], weights)
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid("own", 1)] * bool(functions)
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=10)


def node(operator, inputs, outputs="y", **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def drawn(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def tensor(path):
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def in_order(folder, stem):
    return [
        tensor(path)
        for path in sorted(folder.glob(f"{stem}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    ]


@pytest.mark.cpu
@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_the_suite(folder):
    f = sg.onnx.load(folder / "model.onnx")
    for data in sorted(folder.glob("test_data_set_*")):
        results = f(*in_order(data, "input"))
        results = results if isinstance(results, tuple) else (results,)

        for expected, result in zip(in_order(data, "output"), results, strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-7)
            assert expected.dtype == result.dtype


def test_a_softmax_has_the_meaning_of_the_opset_of_its_model():
    x = drawn(2, 3, 4)
    early = sg.onnx.load(model([node("Softmax", "x")], {"x": (2, 3, 4)}, opset=11))
    late = sg.onnx.load(model([node("Softmax", "x")], {"x": (2, 3, 4)}, opset=13))

    assert np.allclose([1, 1], early(x).sum((1, 2)))
    assert np.allclose(np.ones((2, 3)), late(x).sum(-1))


def test_one_program_serves_all_sizes():
    shaped = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n axes", "n1"),
        node("Concat", "n1 rest", "t", axis=0), node("Reshape", "x t", "y"),
    ]  # fmt: skip
    f = sg.onnx.load(model(shaped, {"x": ("batch", 3, 4)}, tensors={"zero": 0, "axes": [0], "rest": [-1]}))

    assert "f32[batch, 12]" == str(f.outputs["y"].type)
    assert [(2, 12), (5, 12)] == [f(drawn(n, 3, 4)).shape for n in (2, 5)]
    assert () == f.value_inputs


def test_the_largest_of_sizes_that_a_call_decides():
    """NaN where one is, and -inf of nothing."""
    f = sg.onnx.load(model([node("ReduceMax", "x", axes=[1], keepdims=0)], {"x": ("n", "m")}, opset=13))

    np.testing.assert_array_equal(f(np.float32([[1, np.nan], [2, 3]])), [np.nan, 3])
    np.testing.assert_array_equal(f(np.zeros((2, 0), "float32")), [-np.inf, -np.inf])


def test_values_that_decide_sizes_get_a_program_each():
    f = sg.onnx.load(
        model([node("Reshape", "x s")], {"x": ("n", 4), "s": info("s", (2,), TensorProto.INT64)})
    )

    assert ("s",) == f.value_inputs
    assert (2, 6) == f(drawn(3, 4), np.array([2, 6])).shape
    assert (1, 8) == f(x=drawn(2, 4), s=np.array([1, -1])).shape
    with pytest.raises(sg.ArgumentError, match="'s'"):
        f(drawn(3, 4))


def test_givens_fix_an_input():
    given = model([node("Reshape", "x s")], {"x": (3, 4), "s": info("s", (2,), TensorProto.INT64)})
    f = sg.onnx.load(given, givens={"s": [6, 2]})

    assert ("x",) == f.input_names
    assert (6, 2) == f(drawn(3, 4)).shape


def test_weights_become_variables_that_can_be_trained():
    f = sg.onnx.load(
        model([node("MatMul", "x w")], {"x": ("n", 2)}, tensors={"w": drawn(2, 3)}), variables=True
    )
    loss = (f.outputs["y"] ** 2).sum()
    (slope,) = sg.grad(loss, [f.variables["w"]])
    step = sg.function([f.inputs["x"]], loss, updates={f.variables["w"]: f.variables["w"] - 0.01 * slope})
    x = drawn(5, 2)

    assert step(x) > step(x)
    assert np.allclose(x @ f.variables["w"].value, f(x), rtol=1e-5)


def test_functions_of_the_model_are_imported():
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 21)]
    )
    f = sg.onnx.load(model([node("Twice", "x", domain="own")], {"x": (2,)}, functions=[twice]))

    assert [2, 4] == list(f([1.0, 2.0]))


def test_a_branch_is_chosen_at_the_call():
    ways = {
        name: helper.make_graph([node(operator, "x", "z")], name, [], [info("z", None)])
        for name, operator in (("then_branch", "Neg"), ("else_branch", "Exp"))
    }
    nodes = [
        node("ReduceSum", "x", "s", keepdims=0),
        node("Greater", "s zero", "c"),
        node("If", "c", "y", **ways),
    ]
    f = sg.onnx.load(model(nodes, {"x": (2,)}, tensors={"zero": np.float32(0)}))

    assert [-1, -2] == list(f([1.0, 2.0]))
    assert np.allclose(np.exp([-1.0, -2.0]), f([-1.0, -2.0]))


def loop(nodes, carries, outputs):
    """The body of a Loop."""
    given = [
        info("i", (), TensorProto.INT64),
        info("c", (), TensorProto.BOOL),
        *(info(name, (2,)) for name in carries),
    ]
    kinds = [info("again", (), TensorProto.BOOL), *(info(name, None) for name in outputs)]
    return helper.make_graph(nodes, "body", given, kinds)


DOUBLING = [
    node("Add", "v v", "w"),
    node("ReduceSum", "w", "s", keepdims=0),
    node("Less", "s limit", "again"),
]


@pytest.mark.parametrize("most, expected", [("", [32, 64]), ("m", [8, 16])])
def test_a_loop_runs_while_its_condition_holds(most, expected):
    body = loop(DOUBLING, ["v"], ["w"])
    nodes = [helper.make_node("Loop", [most, "", "x"], ["y"], body=body)]
    f = sg.onnx.load(model(nodes, {"x": (2,)}, tensors={"m": 3, "limit": np.float32(90)}))

    assert expected == list(f([1.0, 2.0]))


def test_a_loop_stacks_as_many_rows_as_it_has_turns():
    body = loop([*DOUBLING, node("Identity", "w", "row")], ["v"], ["w", "row"])
    nodes = [helper.make_node("Loop", ["m", "", "x"], ["last", "y"], body=body)]
    f = sg.onnx.load(model(nodes, {"x": (2,)}, ["last", "y"], {"m": 20, "limit": np.float32(20)}))
    last, rows = f([1.0, 2.0])

    assert [8, 16] == list(last)
    assert [[2, 4], [4, 8], [8, 16]] == rows.tolist()


def test_a_loop_whose_sizes_depend_on_the_turn_is_written_out():
    body = loop([node("Concat", "v v", "w", axis=0), node("Identity", "c", "again")], ["v"], ["w"])
    nodes = [helper.make_node("Loop", ["m", "", "x"], ["y"], body=body)]
    f = sg.onnx.load(model(nodes, {"x": (2,)}, tensors={"m": 3}))

    assert (16,) == f([1.0, 2.0]).shape


def test_all_operators_that_are_missing_are_named_at_once():
    nodes = [
        node("Wobble", "x", "a", name="first"),
        node("Relu", "a", "b"),
        node("Wibble", "b", name="second"),
    ]
    with pytest.raises(sg.onnx.UnsupportedOperator, match=r"Wobble \(node first\)") as caught:
        sg.onnx.load(model(nodes, {"x": (2,)}))

    assert [("Wobble", "node first"), ("Wibble", "node second")] == [
        (each.operator, each.place) for each in caught.value.problems
    ]


def test_what_a_rule_refuses_is_named_with_its_reason():
    with pytest.raises(sg.onnx.UnsupportedOperator, match="the attribute 'colour'"):
        sg.onnx.load(model([node("Relu", "x", colour=3)], {"x": (2,)}))


def test_names_may_be_any_text():
    name = "import os; os.abort()"
    f = sg.onnx.load(
        model([helper.make_node("Neg", [name], ["y"])], {name: ("lambda", "max", "__import__('os')")})
    )

    assert (name,) == f.input_names
    assert (1, 2, 3) == f(**{name: drawn(1, 2, 3)}).shape


LIES = {
    "cycle": [node("Add", "x b", "a"), node("Neg", "a", "b"), node("Neg", "b")],
    "reads nothing": [node("Add", "x nothing")],
    "makes no output": [node("Neg", "x", "z")],
    "makes one value twice": [node("Neg", "x"), node("Exp", "x")],
    "makes its input": [node("Neg", "x", "x"), node("Neg", "x")],
    "too many inputs": [node("Neg", "x x")],
    "too few inputs": [node("Add", "x")],
    "attribute of another kind": [node("Transpose", "x", perm="abc")],
    "axis that there is not": [node("Softmax", "x", axis=7)],
    "sizes that do not agree": [node("Reshape", "x s")],
}


@pytest.mark.parametrize("nodes", LIES.values(), ids=LIES)
def test_a_model_that_contradicts_itself(nodes):
    with pytest.raises(sg.FileError, match="<model>: "):
        sg.onnx.load(model(nodes, {"x": (2,)}, tensors={"s": [3]}))


def test_a_fault_in_a_loop_is_told_of_its_own_node():
    body = loop([node("Neg", "v", "w"), node("Identity", "nothing", "again")], ["v"], ["w"])
    with pytest.raises(sg.FileError, match=r"^<model>: node 'again' \(Identity\) reads 'nothing'"):
        sg.onnx.load(
            model([helper.make_node("Loop", ["m", "", "x"], ["y"], body=body)], {"x": (2,)}, tensors={"m": 3})
        )


@pytest.mark.parametrize("shape", [(0, 2**62, 2**62), (1,) * 70, (2**40, 2**40)])
def test_a_tensor_of_sizes_that_no_array_has(shape):
    given = model([node("Add", "x w")], {"x": (2,)}, tensors={"w": np.zeros(0, "float32")})
    given.graph.initializer[0].dims[:] = shape
    with pytest.raises(sg.FileError, match=f"the tensor 'w' has {len(shape)} axes of the sizes"):
        sg.onnx.load(given)


def test_an_input_of_too_many_axes():
    with pytest.raises(sg.FileError, match="the input 'x' has 65 axes, and 64 is the most"):
        sg.onnx.load(model([node("Neg", "x")], {"x": ("n",) * 65}))


@pytest.mark.parametrize("scale, mode", [(2.0**33, "nearest"), (2.0**19, "linear")])
def test_a_resize_that_has_no_room(scale, mode):
    nodes = [node("Resize", "x  scales", mode=mode)]
    nodes[0].input[:] = ["x", "", "scales"]
    with pytest.raises(sg.UnsupportedOperator, match=r"Resize \(node y\): "):
        sg.onnx.load(model(nodes, {"x": (16,)}, tensors={"scales": np.array([scale], "float32")}))


def test_sizes_that_are_complex():
    with pytest.raises(sg.UnsupportedOperator, match="takes whole numbers, not complex64"):
        sg.onnx.load(model([node("Reshape", "x s")], {"x": (2,)}, tensors={"s": np.array([2], "complex64")}))


def test_a_choice_between_sizes_is_what_they_broadcast_to():
    nodes = [
        node("Shape", "x", "a"), node("Shape", "z", "b"), node("Equal", "a one", "c"), node("Where", "c b a", "s"),
        node("Expand", "x s"),
    ]  # fmt: skip
    f = sg.onnx.load(model(nodes, {"x": ("a",), "z": ("b",)}, tensors={"one": [1]}))

    assert [(3,), (3,)] == [f(drawn(n), drawn(m)).shape for n, m in ((1, 3), (3, 1))]


def test_functions_that_call_themselves():
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    f = helper.make_function("own", "F", ["a"], ["b"], [node("F", "a", "b", domain="own")], imports)
    with pytest.raises(sg.FileError, match="without end"):
        sg.onnx.load(model([node("F", "x", domain="own")], {"x": (2,)}, functions=[f]))


def external(**entries):
    given = model([node("Add", "x w")], {"x": (2,)}, tensors={"w": drawn(2)})
    weight = given.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return given.SerializeToString()


def test_external_data_is_read_from_the_folder_of_the_model(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"\0" * 4 + np.array([1, 2], "<f4").tobytes())
    (tmp_path / "m.onnx").write_bytes(external(location="w.bin", offset="4", length="8"))

    assert [1, 2] == list(sg.onnx.load(tmp_path / "m.onnx")([0.0, 0.0]))


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "../secret.bin"}, {"location": "link.bin"}, {"location": "gone.bin"}, {"location": ""},
        {"location": "a\0b"}, {"location": "."}, {"location": "w.bin", "offset": "4"},
        {"location": "w.bin", "offset": "-4"}, {"location": "w.bin", "length": "9999999999"},
        {"location": "w.bin", "offset": "x"},
    ],
)  # fmt: skip
def test_external_data_elsewhere_is_refused(tmp_path, entries):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 8)
    (home / "w.bin").write_bytes(b"\0" * 8)
    os.symlink(tmp_path / "secret.bin", home / "link.bin")
    (home / "m.onnx").write_bytes(external(**entries))
    with pytest.raises(sg.FileError, match=r"m\.onnx: the tensor 'w'"):
        sg.onnx.load(home / "m.onnx")


def test_a_tensor_with_too_few_bytes():
    given = model([node("Add", "x w")], {"x": (2,)}, tensors={"w": drawn(2)})
    given.graph.initializer[0].dims[0] = 2**40
    with pytest.raises(sg.FileError, match="8 bytes"):
        sg.onnx.load(given)


def test_the_page_lists_every_operator():
    page = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text(encoding="utf-8")
    listed = [f"| `{name}` | {', '.join(map(str, since))} |" for name, since in sg.onnx.operators().items()]

    assert [] == [line for line in listed if line not in page]
