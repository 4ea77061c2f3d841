"""ONNX Runtime: a graph made from the traced program, with weights inside it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from peers.peer import Array, CannotSay, Ready
from peers.trace import Value, in_order, traced

OPSET = 20

OPS = {
    "abs": "Abs",
    "add": "Add",
    "cos": "Cos",
    "divide": "Div",
    "erf": "Erf",
    "exp": "Exp",
    "gelu_erf": "Gelu",
    "gelu_tanh": "Gelu",
    "greater": "Greater",
    "layer_norm": "LayerNormalization",
    "log": "Log",
    "matmul": "MatMul",
    "max": "ReduceMax",
    "maximum": "Max",
    "mean": "ReduceMean",
    "minimum": "Min",
    "multiply": "Mul",
    "negative": "Neg",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "sin": "Sin",
    "softmax": "Softmax",
    "softplus": "Softplus",
    "sqrt": "Sqrt",
    "subtract": "Sub",
    "sum": "ReduceSum",
    "tanh": "Tanh",
    "transpose": "Transpose",
    "where": "Where",
}
NATIVE = ["gelu_erf", "gelu_tanh", "layer_norm", "relu", "sigmoid", "softmax", "softplus"]
"""What is one operation for it and compositions for others."""
ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "gelu_tanh": {"approximate": "tanh"},
    "layer_norm": {"axis": -1, "epsilon": 1e-5},
    "softmax": {"axis": -1},
}


class OnnxRuntime:
    def __init__(self, threads: int) -> None:
        self._onnx = importlib.import_module("onnx")
        self._library = importlib.import_module("onnxruntime")
        self._threads = threads
        self.version = self._library.__version__

    def ready(self, workload: Any, arrays: Mapping[str, Array]) -> Ready:
        _, results = traced(workload, native=NATIVE)
        model = self._model(workload, arrays, results)
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        session = self._library.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        given = {name: x for name, x in arrays.items() if name not in workload.weights}
        return Ready(session.run, [None, given])

    def settle(self) -> None: ...

    def _model(self, workload: Any, arrays: Mapping[str, Array], results: list[Value]) -> Any:
        helper, numpy_helper = self._onnx.helper, self._onnx.numpy_helper
        kind = helper.np_dtype_to_tensor_dtype(workload.dtype)
        named: dict[int, str] = {}
        nodes = []
        constants = [
            numpy_helper.from_array(x, name) for name, x in arrays.items() if name in workload.weights
        ]
        for x in in_order(results):
            if x.op == "input":
                named[id(x)] = x.attributes["name"]
                continue
            name = named[id(x)] = f"v{len(named)}"
            if x.op == "number":
                number = np.array(x.attributes["number"], workload.dtype)
                constants.append(numpy_helper.from_array(number, name))
                continue
            if x.op not in OPS:
                raise CannotSay(x.op)
            operands = [named[id(each)] for each in x.inputs]
            attributes = dict(ATTRIBUTES.get(x.op, {}))
            if "axis" in x.attributes:
                attributes["keepdims"] = int(x.attributes["keepdims"])
                if (axis := x.attributes["axis"]) is not None:
                    axes = numpy_helper.from_array(np.array([axis], np.int64), f"{name}_axes")
                    constants.append(axes)
                    operands.append(axes.name)
            nodes.append(helper.make_node(OPS[x.op], operands, [name], **attributes))
        graph = helper.make_graph(
            nodes,
            "program",
            [
                helper.make_tensor_value_info(name, kind, list(workload.inputs[name].shape))
                for name in arrays
                if name not in workload.weights
            ],
            [helper.make_tensor_value_info(named[id(x)], kind, None) for x in results],
            constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
