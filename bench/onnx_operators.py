"""Make docs/onnx.md: what there is of ONNX, by operator, and how many cases of ONNX's own suite pass.

    python bench/onnx_operators.py results.json > docs/onnx.md

The results are those of ONNX's backend suite, as lists of cases: ``{"tests": [{"kind", "op", "ops", "status"}, …]}``.
"""

import collections
import json
import sys
from pathlib import Path

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

`sg.onnx.save(f, "model.onnx", opset=21)` writes a compiled function for others to run, in opset 18 or a later one. An
op that ONNX has stays one operator, of another its definition is written, loops and branches become Loop and If.
Variables
are tensors of the model, and what an update makes of one is a further output: its name and `_next`. What ONNX cannot
say
is listed in one `UnsupportedOperator`, with its line.

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


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text("utf-8"))["tests"]
    print(page(results), end="")


def page(results: list[dict]) -> str:
    """The page; results are of the cases of the suite."""
    counts = collections.defaultdict(collections.Counter)
    for case in results:
        if case["kind"] == "node":
            counts[case["op"]][case["status"]] += 1
    rules = sg.onnx.operators()
    lines = [row(name, ", ".join(map(str, since)), counts[name]) for name, since in rules.items()]
    defined = sorted(name for name, each in counts.items() if name not in rules and each["pass"])
    rest = sorted(name for name, each in counts.items() if name not in rules and not each["pass"])
    lines += [row(name, "by ONNX's definition", counts[name]) for name in defined]
    total = collections.Counter(case["status"] for case in results)
    last = f"Of {sum(total.values())} cases in all, {total['pass']} pass; of the others, {total['unsupported']} are"
    missing = f"Not imported: {', '.join(rest)}." if rest else "All operators with cases are imported."
    return f"{HEAD}{chr(10).join(lines)}\n\n{last} named as unsupported.\n\n{missing}\n"


def row(name: str, since: str, counts: collections.Counter) -> str:
    number = sum(counts.values())
    passed = f"{counts['pass']} of {number}" if number else "–"
    return f"| `{name}` | {since} | {passed} |"


if __name__ == "__main__":
    main()
