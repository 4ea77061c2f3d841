"""Functions as ONNX models: checked by onnx, run by onnxruntime or ONNX's own evaluator, and read back."""

import numpy as np
import pytest

import symgraph as sg

onnx = pytest.importorskip("onnx")


def drawn(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def x():
    return sg.placeholder("float32", ("n", 4), name="x")


def y():
    return sg.placeholder("float32", ("n", 4), name="y")


def i():
    return sg.placeholder("int64", ("m",), name="i")


def a():
    return sg.placeholder("float32", ("a",), name="a")


def b():
    return sg.placeholder("float32", ("b",), name="b")


VALUES = {
    "a": drawn(3),
    "b": drawn(1),
    "x": drawn(5, 4),
    "y": 2 * drawn(5, 4)[::-1],
    "i": np.array([1, 0, -1]),
    "t": np.array([0, 2, 1, 1, 0]),
}


def answers(model, feeds):
    """What a runtime makes of a model."""
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model).run(None, feeds)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, ["CPUExecutionProvider"])
    return session.run(None, feeds)


PROGRAMS = {
    "elementwise": lambda: sg.tanh(x()) * y() + sg.exp(-x() * x()) / (1 + abs(y())) - sg.where(x() > y(), x(), y()),
    "activations": lambda: [
        sg.gelu(x()), sg.gelu(x(), True), sg.silu(x()), sg.elu(x(), 0.5), sg.leaky_relu(x()), sg.selu(x()),
        sg.mish(x()), sg.hard_sigmoid(x()), sg.hard_swish(x()), sg.softplus(x()), sg.relu6(x()), sg.softmax(x()),
    ],
    "small numbers": lambda: [
        sg.log1p(1e-7 * abs(x())), sg.expm1(1e-6 * x()), sg.expm1(x()), sg.log2(abs(x())), sg.exp2(x()),
        sg.trunc(x()), sg.remainder(x(), 0.3), sg.clip(x(), -0.5, 0.5),
    ],
    "reductions": lambda: [
        x().sum(), x().mean(0), x().max(1), x().min(0, keepdims=True), x().prod(1), sg.var(x(), 1),
        sg.logsumexp(x(), 1), (x() > 0).any(1), (x() > 0).all(), x().argmax(1), sg.cumsum(x(), 1),
    ],
    "indices": lambda: [
        x()[1:, ::2], x()[::-1], x()[0], x()[:, None, 1], x()[-1, 1:3], x()[:, [0, 2]], x()[[0, 1], [1, 2]], x()[-2:],
        x()[x() > 0],
    ],
    "updates": lambda: [
        x().at[0].set(1.0), x().at[:, 1:3].add(2.0), x().at[i(), 1].max(0.0), x().at[::2].multiply(3.0),
        x().at[1, 2].set(0.0), x()[i(), 0], x()[None, 1, :], x()[0, i()],
    ],
    "gathers": lambda: [sg.take(x(), i(), axis=0), x().at[i()].add(1.0), x().at[i()].set(0.0), x()[i(), i()]],
    "shapes": lambda: [
        x().T, x().reshape(-1), sg.concat([x(), x()], 1), sg.stack([x(), x()]), sg.pad(x(), 1), sg.tile(x(), 2),
        sg.roll(x(), 1, 0), sg.broadcast_to(x(), (3, x().shape[0], 4)), sg.arange(x().shape[0] // 2 + 1),
    ],
    "products": lambda: [sg.einsum("ij,kj->ik", x(), y()), sg.tensordot(x(), y(), ((1,), (1,))), x() @ y().T],
    "a transposed matrix and a vector": lambda: [x().T @ y()[:, 0], sg.grad((x() @ y()[0]).sum(), y())],
    "sizes that the call broadcasts": lambda: [a() * b(), *sg.grad((a() * b()).sum(), [a(), b()])],
    "integers": lambda: [i() // 2, i() % 3, i() * i() - 1, i() / 2, -i(), sg.fmod(i(), 2)],
    "orders": lambda: [sg.sort(x(), 1), sg.argsort(x(), 1, descending=True)],
    "loops": lambda: [
        *sg.scan(lambda carry, row: (carry + row, carry * y()[0]), sg.zeros(4, "float32"), x()),
        *sg.scan(lambda carry, row: (carry * 0.5 + row, carry), sg.zeros(4, "float32"), x(), reverse=True),
        *sg.while_loop(lambda s: s[0].sum() < 9, lambda s: (abs(s[0]) * 2, s[1] + 1), (x()[0], sg.constant(0))),
        sg.map(lambda row: sg.map(lambda each: each * row.sum(), y()), x()),
    ],
    "a loop's slope": lambda: sg.grad(
        (sg.scan(lambda c, row: (sg.tanh(c + row * y()[0]), c), sg.zeros(4, "float32"), x())[0]).sum(), [x(), y()]
    ),
    "branches": lambda: [
        sg.cond(x().sum() > 0, lambda: sg.exp(x()), lambda: y()),
        *(sg.switch(i()[k] + 1, [lambda: x(), lambda: -y(), lambda: x() * y()]) for k in range(3)),
    ],
    "slopes": lambda: sg.grad((sg.softmax(x()) * y()).sum(), [x(), y()]),
}  # fmt: skip


@pytest.mark.cpu
@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_runtime_agrees_and_the_model_reads_back(program, opset, tmp_path):
    outputs = program()
    leaves = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    known = {node.name: node for node in sg.toposort(leaves) if node.op.name == "placeholder"}
    f = sg.function(list(known.values()), list(leaves))
    sg.onnx.save(f, tmp_path / "f.onnx", opset=opset)
    model = onnx.load(tmp_path / "f.onnx")
    feeds = {name: VALUES[name] for name in known}
    expected = f(**feeds)

    onnx.checker.check_model(model, full_check=True)
    again = sg.onnx.load(tmp_path / "f.onnx")(**feeds)
    for results in (answers(model, feeds), again if isinstance(again, tuple) else [again]):
        for value, result in zip(expected, results, strict=True):
            assert (value.shape, value.dtype) == (result.shape, result.dtype)
            np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-6)


def test_updates_are_further_outputs():
    w = sg.variable(drawn(4, 3), name="w")
    t = sg.placeholder("int64", ("n",), name="t")
    loss = sg.cross_entropy(x() @ w, t).mean()
    (slope,) = sg.grad(loss, [w])
    step = sg.function([x(), t], {"loss": loss}, updates={w: w - 0.1 * slope})
    model = sg.onnx.to_proto(step)
    loss_there, w_there = answers(model, {"x": VALUES["x"], "t": VALUES["t"]})

    assert ["loss", "w_next"] == [each.name for each in model.graph.output]
    assert np.allclose(step(VALUES["x"], VALUES["t"])["loss"], loss_there)
    assert np.allclose(w.value, w_there, rtol=1e-5)


def test_variables_are_tensors_and_constants_are_nodes_that_something_reads():
    w = sg.variable(drawn(4), name="w")
    model = sg.onnx.to_proto(sg.function([x()], sg.leaky_relu(x() * w + 0.5, 0.25)))

    assert ["w"] == [each.name for each in model.graph.initializer]
    assert ["Constant", "Mul", "Add", "LeakyRelu", "Identity"] == [node.op_type for node in model.graph.node]
    assert {"w"} == set(sg.onnx.load(model, variables=True).variables)


def test_updates_of_two_variables_of_one_name_are_told_apart():
    first, second = sg.variable(0.0, name="w"), sg.variable(0.0, name="w")
    model = sg.onnx.to_proto(sg.function([], first + second, updates={first: first + 1, second: second + 2}))

    assert ["output", "w_next", "w_2_next"] == [each.name for each in model.graph.output]


def test_a_composition_of_ones_own_is_written_and_a_python_function_is_named():
    @sg.composite(name="onnx_double")
    def double(a):
        return a + a

    @sg.python_op(result="f32[n, m] -> f32[n, m]", name="onnx_opaque")
    def opaque(a):
        return a

    again = sg.onnx.load(sg.onnx.to_proto(sg.function([x()], double(x()))))
    assert np.array_equal(2 * VALUES["x"], again(VALUES["x"]))
    with pytest.raises(
        sg.UnsupportedOperator, match=r"onnx_opaque \(test_onnx_export.py:\d+\): ONNX has no operator"
    ):
        sg.onnx.to_proto(sg.function([x()], opaque(x())))


def test_what_is_in_a_loop_is_named_once_by_its_own_line():
    looped, _ = sg.scan(lambda c, row: (c + sg.gammaln(row), None), sg.zeros(4, "float32"), x())
    with pytest.raises(sg.UnsupportedOperator) as caught:
        sg.onnx.to_proto(sg.function([x()], sg.cond(looped[0] > 0, lambda: looped, lambda: sg.i0(looped))))

    assert ["gammaln", "i0"] == sorted(problem.operator for problem in caught.value.problems)


def test_a_dtype_that_an_operator_does_not_take_is_computed_in_a_wider_one():
    i = sg.placeholder("int16", ("n",), name="i")
    model = sg.onnx.to_proto(sg.function([i], i.max()))

    assert ["Cast", "ReduceMax", "Cast"] == [node.op_type for node in model.graph.node][1:4]
    assert 3 == answers(model, {"i": np.array([1, 3, 2], "int16")})[0]


def test_ops_that_onnx_has_are_kept():
    model = sg.onnx.to_proto(sg.function([x()], sg.softmax(sg.gelu(x()))))

    assert ["Gelu", "Softmax", "Identity"] == [node.op_type for node in model.graph.node]


def test_all_that_onnx_cannot_say_is_named_at_once():
    f = sg.function([x()], [sg.gammaln(x()), sg.i0(x())])
    with pytest.raises(sg.onnx.UnsupportedOperator, match="gammaln") as caught:
        sg.onnx.to_proto(f)

    assert ["gammaln", "i0"] == [problem.operator for problem in caught.value.problems]


@pytest.mark.parametrize("opset", [7, 10**6, "21"])
def test_an_opset_that_cannot_be_written(opset):
    with pytest.raises(sg.ArgumentError, match="opset"):
        sg.onnx.to_proto(sg.function([x()], x() + 1), opset=opset)
