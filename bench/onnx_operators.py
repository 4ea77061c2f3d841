"""Make docs/onnx.md: what there is of ONNX, by operator, and how many cases of ONNX's own suite pass.

    python bench/onnx_operators.py > docs/onnx.md

It runs the cases that come with the onnx package, of single operators and of small models, for about a minute, and says
on the standard error which fail.
"""

from __future__ import annotations

import collections
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

import symgraph as sg

HEAD = """\
# ONNX

`sg.onnx.load` makes a function of a model: from a path, from bytes, or from a `ModelProto`. It needs the onnx package,
`pip install 'symgraph-compiler[onnx]'`.

    f = sg.onnx.load("model.onnx")
    f(images)                          # by position, or by the names of the inputs: f(**{"input.1": images})
    f.input_names, f.output_names

    f = sg.onnx.load("model.onnx", variables=True)
    f.variables["fc.weight"].value     # weights as variables, to be trained or replaced
    f.inputs, f.outputs                # the nodes, to build upon

Names of sizes become symbolic sizes, so one program serves all of them. What a model computes from shapes is computed
on sizes when it is imported. Where sizes depend on the *values* of an input (the shape that a Reshape is given, the `k`
of a TopK), a program is compiled for each value that is met; `f.value_inputs` names such inputs, and
`load(..., givens={"shape": [2, 3]})` fixes them.

An operator has the meaning of the opset that the model names: its newest rule that is not above it. Operators without
a rule are imported by the function that defines them, in the model or in ONNX itself. What cannot be imported is told
at once: `UnsupportedOperator` lists each such operator with its node and the reason. A file that contradicts itself
ends in `FileError`; external data is read from the model's folder only.

## Variables and constants

The tensors of a model (its initializers) are constants of the function, which passes may fold. With `variables=True`,
those of floating-point dtypes are variables, under their names. Integers and bools, most of which are shapes and
indices, stay constants, and so do the tensors in inner graphs and in Constant nodes. A model does not say which of its
tensors were trained.

`sg.onnx.save(f, "model.onnx", opset=21)` writes a compiled function for others to run, in opset 18 or a later one.
Variables are tensors of the model, by their names and with the values that they have now; constants are Constant nodes,
so that `variables=True` finds the former again. What an update makes of a variable is a further output: the tensor's
name and `_next`. A model keeps no state, so whoever runs it hands that on.

Inputs have the names of placeholders, and defaults are left out. Outputs are `output`, or `output_0` and so on, or the
keys of a dict.

On the command line (`--function` picks one of several; a text of a program will do as well):

    symgraph convert model.onnx model.sg [--variables] [--given shape=shape.npy]
    symgraph convert model.sg model.onnx [--function NAME] [--opset 21]

The function in a `.sg` file that was a model has the outputs as a dict, by the model's names, and takes the inputs that
matter for them.

## What is written

An op that ONNX has stays one operator. Of another its definition is written; loops and branches become Loop and If.
Where ONNX's operator does not take a dtype, it is computed in the next wider one and cast back. Random numbers, special
functions such as `ndtr`, and `cholesky` and `solve` (as loops) can be written. Where symgraph raises, because a matrix
is singular or an index is out of bounds, a model gives NaN, or what its runtime has for it. What ONNX cannot say,
complex numbers and eigenvalues among it, is listed in one `UnsupportedOperator`, with its line.

ONNX does not say what its operators make of NaN, or of infinities. onnxruntime's largest and least elements pass over a
NaN, it sorts NaN to the front or leaves it, and its Gelu, Mish, HardSwish, Softsign and Softmax give NaN at infinity.

onnxruntime does not have a kernel for every operator in every dtype, of bfloat16 and float64 above all, and says so
when it loads the model: `NOT_IMPLEMENTED`.

Results agree with symgraph's to 4 times the ulps that an op is declared with. onnxruntime's `sin`, `cos`, `tan` and
`sigmoid` are as exact relative to 1 only, and its `Where` may give 0.0 for -0.0.

A rule is looked up by its name:

```python
>>> sg.onnx.operators()["Softmax"]
(1, 13)
```

## Operators

The opsets are those from which a rule holds; the cases are those of the operator in ONNX's own suite.

| operator | opsets | cases that pass |
|---|---|---|
"""


@dataclass(frozen=True)
class Case:
    """A case of the suite: its operator, which is empty for a model of several, and pairs of inputs and outputs."""

    name: str
    operator: str
    model: Any
    data: Sequence[tuple[Sequence[Any], Sequence[Any]]]
    rtol: float
    atol: float


def main() -> None:
    print(page([(case, outcome(case)) for case in cases()]), end="")


def cases() -> Iterator[Case]:
    """The cases of operators, those in which ONNX's definition stands for the operator, and those of models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases compute their results when they are loaded
        found = load_model_tests(kind="node")
    for case in found:
        expanded = re.search(r"_expanded(_ver\d+)?$", case.name)
        operator = "" if expanded else case.model.graph.node[0].op_type
        data = [tuple([*map(array, each)] for each in both) for both in case.data_sets]
        yield Case(case.name, operator, case.model, data, case.rtol, case.atol)
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for case in sorted(load_model_tests(kind=kind), key=lambda case: case.name):
            folder = Path(case.model_dir)
            data = [
                (arrays(each, "input"), arrays(each, "output")) for each in sorted(folder.glob("test_data_*"))
            ]
            yield Case(case.name, "", onnx.load(folder / "model.onnx"), data, case.rtol, case.atol)


def arrays(folder: Path, stem: str) -> list[Any]:
    """The tensors in a folder, in order; None for what is a sequence or an optional value."""
    paths = sorted(folder.glob(f"{stem}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    return [array(onnx.TensorProto.FromString(path.read_bytes())) for path in paths]


def array(value: Any) -> Any:
    if not isinstance(value, onnx.TensorProto):
        return value
    return onnx.numpy_helper.to_array(value) if value.data_type else None


def outcome(case: Case) -> str:
    """``pass``, ``unsupported`` where that is said, or ``fail``."""
    try:
        f = sg.onnx.load(case.model)
        for inputs, outputs in case.data:
            results = f(*inputs)
            compare(results if isinstance(results, tuple) else (results,), outputs, case)
    except sg.UnsupportedOperator:
        return "unsupported"
    except Exception as error:
        print(f"{case.name}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
        return "fail"
    return "pass"


def compare(results: Sequence[Any], outputs: Sequence[Any], case: Case) -> None:
    """Raise AssertionError where results differ by more than the suite allows, or have another dtype or shape.

    For 16-bit floats it allows one ulp of some numbers, and here two of all.
    """
    assert len(results) == len(outputs), f"{len(results)} results, not {len(outputs)}"
    for result, output in zip(results, outputs, strict=True):
        expected = np.asarray(output)
        assert (result.dtype, result.shape) == (expected.dtype, expected.shape), (result, expected)
        rtol = max(case.rtol, SHORT.get(expected.dtype.name, 0))
        if expected.dtype.name == "bfloat16":
            result, expected = result.astype("float32"), expected.astype("float32")
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=case.atol)


SHORT = {"float16": 2**-9, "bfloat16": 2**-6}


def page(results: Sequence[tuple[Case, str]]) -> str:
    """The page."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for case, status in results:
        if case.operator:
            counts[case.operator][status] += 1
    rules = sg.onnx.operators()
    lines = [row(name, ", ".join(map(str, since)), counts[name]) for name, since in rules.items()]
    defined = sorted(name for name, each in counts.items() if name not in rules and each["pass"])
    rest = sorted(name for name, each in counts.items() if name not in rules and not each["pass"])
    lines += [row(name, "by ONNX's definition", counts[name]) for name in defined]
    total = collections.Counter(status for _, status in results)
    last = (
        f"Of {sum(total.values())} cases in all, {total['pass']} pass and {total['fail']} fail; the others are named "
        "as unsupported: sequences, texts, sparse and quantized tensors, training, and operators without a rule."
    )
    missing = f"Not imported: {', '.join(rest)}."
    return (
        "\n\n".join([HEAD + "\n".join(lines), textwrap.fill(last, 120), textwrap.fill(missing, 120)]) + "\n"
    )


def row(name: str, since: str, counts: collections.Counter[str]) -> str:
    number = sum(counts.values())
    passed = f"{counts['pass']} of {number}" if number else "–"
    return f"| `{name}` | {since} | {passed} |"


if __name__ == "__main__":
    main()
