"""Every declaration as an ONNX model: checked by onnx, run by onnxruntime, read back – or refused by name.

The calls are those of `tests.derived`, and in one dtype with symbolic sizes too. All calls of a function in one dtype
are one model. Where onnxruntime says that it has no kernel in a dtype, the model is checked and read back all
the same; no operator may be without a kernel in every dtype.
"""

from dataclasses import dataclass, field, replace
from functools import cache

import pytest

import symgraph as sg
from symgraph.graph.op import OPS
from tests.derived.closeness import mismatch
from tests.derived.declared import FUNCTIONS_BY_NAME, calls
from tests.derived.test_values import magnitude

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", minversion="1.31", reason="onnxruntime 1.31 is not installed")

from symgraph.io.onnx_definitions import DEFINITIONS
from symgraph.io.onnx_table import COMPLEX
from symgraph.io.onnx_writing import SPELLINGS
from tests.io.onnx_runs import NoKernel, check, read_back, run

NAMED = {name: f for name, f in FUNCTIONS_BY_NAME.items() if not f.is_macro and f.op.onnx is not None}
OTHERS = {name: f for name, f in FUNCTIONS_BY_NAME.items() if name not in NAMED and f.cases}


@dataclass
class Model:
    """Calls as one program; bfloat16, which NumPy cannot hand to onnxruntime, goes in and comes out as float32."""

    calls: list
    feeds: dict = field(default_factory=dict)
    outputs: list = field(default_factory=list)
    expected: list = field(default_factory=list)

    def __post_init__(self):
        inputs, self.rows = [], []
        for number, call in enumerate(self.calls):
            given = [
                sg.placeholder(wide(node.dtype), node.shape, name=f"x{number}_{place}")
                for place, node in enumerate(call.nodes)
            ]
            inputs += given
            self.feeds |= {x.name: a.astype(x.dtype) for x, a in zip(given, call.arrays, strict=True)}
            nodes = [sg.astype(x, node.dtype) for x, node in zip(given, call.nodes, strict=True)]
            made = replace(call, nodes=tuple(nodes)).outputs()
            self.rows += [x.dtype for x in made]
            self.outputs += [sg.astype(x, wide(x.dtype)) for x in made]
        read = set(sg.toposort(self.outputs))
        unread = [x for x in inputs if x not in read]  # whose sizes may be needed
        self.outputs += unread
        self.rows += [x.dtype for x in unread]
        self.expected = sg.evaluate(self.outputs, {x: self.feeds[x.name] for x in inputs})
        self.function = sg.function(inputs, self.outputs, name="declared")
        self.proto = cache(lambda opset: sg.onnx.to_proto(self.function, opset=opset))

    def __str__(self):
        more = f" and {len(self.calls) - 1} more" if len(self.calls) > 1 else ""
        return f"{self.calls[0]} in {self.calls[0].dtype}{more}"


def wide(dtype):
    return "float32" if dtype.name == "bfloat16" else dtype


def models(f, dtypes, most=None):
    """The calls of a function, those of one dtype as one model; where one of them is refused, each by itself."""
    for dtype in dtypes:
        symbolic = calls(f, [dtype], symbolic=True) if dtype in ("float32", dtypes[0]) else []
        symbolic = [
            call for call in symbolic if all(x.size for x in call.arrays)
        ]  # of nothing, where that is known
        made = [*symbolic, *calls(f, [dtype])][:most]
        whole = Model(made)
        try:
            whole.proto(21)
        except sg.UnsupportedOperator:
            yield from (Model([call]) for call in made)
        else:
            yield whole


def disagreement(f, results, model, exact):
    """In what results differ by more than 4 of the ulps that the declaration allows: of each result, or of 1."""
    for a, b, row in zip(results, model.expected, model.rows, strict=True):
        if a.dtype != b.dtype:
            return f"the dtype is {a.dtype}, not {b.dtype}"
        a, b = a.astype(row), b.astype(row)
        if not exact and row.kind == "f":
            a, b = a + 0, b + 0  # -0.0 becomes 0.0
        if found := mismatch(a, b, 4 * f.tolerance, 0.0 if exact else magnitude(b)):
            return found
    return None


def faults(f, made, opset, ran, kept, refused):
    """What is wrong with models; notes in which dtypes they ran, the operators in them, and what was refused."""
    for model in made:
        dtype = model.calls[0].dtype
        try:
            proto = model.proto(opset)
        except sg.UnsupportedOperator as error:
            refused += [(dtype, problem) for problem in error.problems]
            continue
        kept.update(node.op_type for node in proto.graph.node)
        try:
            check(proto)
            elementwise = not f.is_macro and f.op.elementwise
            if found := disagreement(f, read_back(proto, model.feeds), model, elementwise):
                yield f"{model}, read back: {found}"
            exact = elementwise and f.name not in ROUGH
            if found := disagreement(f, run(proto, model.feeds), model, exact):
                yield f"{model}, by onnxruntime: {found}"
            ran.add(dtype)
        except NoKernel:
            pass
        except Exception as error:
            if (f.name, dtype) not in BROKEN:
                yield f"{model}: {type(error).__name__}: {error}"


ROUGH = {"sigmoid", "sin", "cos", "tan", "trunc"}
"""What onnxruntime has to some ulps of 1, and not of small results; or, of a Where, 0.0 for -0.0."""
BROKEN = {("matmul", "uint32"), ("matmul", "uint64")}
"""Where onnxruntime fails, of products of matrices without elements."""
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
UNSAID = {
    "reciprocal": {"int8", "int16", "int32", "int64", *UNSIGNED},
    "pow": {"int8", "int16", *UNSIGNED},  # which wrap round
}
"""Dtypes that ONNX has no operator for; complex numbers come to them."""


@pytest.mark.parametrize("f", NAMED.values(), ids=NAMED)
def test_an_op_with_an_onnx_name_round_trips(f):
    ran, kept, refused = set(), set(), []
    found = list(faults(f, models(f, f.dtypes), 21, ran, kept, refused))

    assert [] == found
    assert f.op.onnx in kept
    assert {"float32", "bool", "int64"} & ran
    assert UNSAID.get(f.name, set()) == {dtype for dtype, problem in refused if "complex" not in str(problem)}


@pytest.mark.parametrize("f", NAMED.values(), ids=NAMED)
def test_an_op_with_an_onnx_name_round_trips_in_the_oldest_opset(f):
    dtype = "float32" if "float32" in f.dtypes else f.dtypes[0]
    ran = set()

    assert [] == list(faults(f, models(f, [dtype]), 18, ran, set(), []))
    assert {dtype} == ran


@pytest.mark.parametrize("f", OTHERS.values(), ids=OTHERS)
def test_any_other_op_round_trips_or_is_named(f):
    """Refused is what neither its declaration nor a definition says in other ops. A few calls are enough: one of a
    random distribution is a thousand operators."""
    most = 1 if f.name.startswith("random.") else 5
    dtype = "float32" if "float32" in f.dtypes else f.dtypes[0]
    refused = []

    assert [] == list(faults(f, models(f, [dtype], most), 21, set(), set(), refused))
    for _, problem in refused:
        op = OPS[problem.operator]
        said = op.name in SPELLINGS or op.name in DEFINITIONS or op.body is not None
        assert (not said and "ONNX has no operator for it" == problem.reason) or COMPLEX == problem.reason
