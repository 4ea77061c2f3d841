"""What tests of ONNX share: models that are checked, run by onnxruntime and read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

import symgraph as sg

Array = np.ndarray[Any, Any]


def check(model: Any) -> None:
    """Raise what onnx finds wrong with a model, with the types and sizes that it infers."""
    onnx.checker.check_model(model, full_check=True)


def run(model: Any, feeds: dict[str, Array]) -> list[Array]:
    """What onnxruntime gives; raises NoKernel where it has none for an operator, or for a dtype at all."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, ["CPUExecutionProvider"])
    except Fail as error:
        if "is not currently registered or supported" in str(error):  # complex numbers
            raise NoKernel(str(error)) from None
        raise
    results: list[Array] = session.run(None, feeds)
    return results


def read_back(model: Any, feeds: dict[str, Array]) -> list[Array]:
    """What a model means to `symgraph.onnx.load`, by the oracle."""
    again = sg.onnx.load(model)
    nodes = [again.outputs[name] for name in again.output_names]
    found: list[Array] = sg.evaluate(nodes, {again.inputs[name]: feeds[name] for name in again.input_names})
    return found


__all__ = ["NoKernel", "check", "read_back", "run"]
