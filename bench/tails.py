"""How exact GELU and softmax are in float32 where that is difficult, beside PyTorch and ONNX Runtime if installed.

    python bench/tails.py

The greatest error, in units in the last place of the exact result, of GELU on [-5.5, 5.5] and of softmax along rows of
1,000 normal numbers of deviation 20, where the result is at least 1e-37.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.special

import symgraph as sg

Array = np.ndarray[Any, Any]
Functions = dict[str, Callable[[Array], Array]]


def ours() -> Functions:
    x, rows = sg.placeholder("float32", ("n",), name="x"), sg.placeholder("float32", ("n", "k"), name="rows")
    return {"GELU": sg.function([x], sg.gelu(x)), "softmax": sg.function([rows], sg.softmax(rows, axis=1))}


def torchs() -> Functions:
    import torch

    return {
        "GELU": lambda x: torch.nn.functional.gelu(torch.from_numpy(x)).numpy(),
        "softmax": lambda x: torch.softmax(torch.from_numpy(x), 1).numpy(),
    }


def onnx_runtimes() -> Functions:
    import onnxruntime
    from onnx import TensorProto, helper

    def run(op: str, x: Array, **attributes: int) -> Array:
        given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, list(x.shape)) for name in "xy")
        graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **attributes)], op, [given], [made])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found: Array = session.run(None, {"x": x})[0]
        return found

    return {"GELU": lambda x: run("Gelu", x), "softmax": lambda x: run("Softmax", x, axis=1)}


def worst(found: Array, exact: Array) -> float:
    apart = np.abs(found.astype(np.float64) - exact)
    kept = np.abs(exact) >= 1e-37
    return float((apart / np.spacing(np.abs(exact).astype(np.float32)))[kept].max())


def rows() -> Iterator[tuple[str, Array, Array]]:
    """A function, its argument, and what it is in float64."""
    x = np.linspace(-5.5, 5.5, 200_001).astype(np.float32)
    yield "GELU", x, x * scipy.special.ndtr(x.astype(np.float64))
    x = (20 * np.random.default_rng(0).normal(size=(200, 1000))).astype(np.float32)
    yield "softmax", x, scipy.special.softmax(x.astype(np.float64), axis=1)


def main() -> None:
    for name, make in (("symgraph", ours), ("PyTorch", torchs), ("ONNX Runtime", onnx_runtimes)):
        try:
            functions = make()
        except ImportError:
            continue
        print(
            f"{name:14}", *(f"{what} {worst(functions[what](x), exact):.3g} ulp" for what, x, exact in rows())
        )


if __name__ == "__main__":
    main()
