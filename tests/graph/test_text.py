"""Graphs as text: what it looks like, that it reads back into the same nodes, and that no text does worse than fail."""

import gc
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from symgraph.errors import ParseError, ShapeError
from symgraph.graph.dims import Dim, fresh, symbol
from symgraph.graph.graph import Graph, graph
from symgraph.graph.op import (
    OPS,
    VARIABLE,
    Attrs,
    Op,
    constant,
    item,
    items,
    pack,
    placeholder,
    size_value,
)
from symgraph.graph.origin import Origin, inherit
from symgraph.graph.parse import parse
from symgraph.graph.text import show, variable_names
from symgraph.graph.types import DTYPES, FLOAT32, INT64, DType, TensorType, TupleType, dtype
from symgraph.ops.arithmetic import abs, add, astype, multiply, negative, subtract, where
from symgraph.ops.comparison import equal
from symgraph.ops.transcendental import exp

# Ops with every kind of attribute, known to these tests only


@dataclass(frozen=True, slots=True)
class FoldAttrs(Attrs):
    axes: tuple[int, ...]
    keepdims: bool = False
    mode: Literal["sum", "max"] = "sum"
    dtype: DType | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Span(Attrs):
    start: Dim | None
    stop: Dim | None = None
    step: int = 1


@dataclass(frozen=True, slots=True)
class Fresh(Attrs):
    pass


@dataclass(frozen=True, slots=True)
class PickAttrs(Attrs):
    index: tuple[Span | Fresh, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class RangeAttrs(Attrs):
    size: Dim
    like: TensorType | None = None


@dataclass(frozen=True, slots=True)
class EachAttrs(Attrs):
    body: Graph
    other: Graph | None = None


def _fold(x, axes, keepdims, mode, dtype, scale):
    if any(not 0 <= axis < x.rank for axis in axes):
        raise ShapeError(f"there is no axis {axes}")
    return TensorType(dtype or x.dtype, tuple(s for i, s in enumerate(x.shape) if i not in axes))


FOLD = Op("fold_", _fold, attrs=FoldAttrs)
PICK = Op("pick_", lambda x, index, label: x, attrs=PickAttrs)
RANGE = Op("range_", lambda size, like: TensorType(INT64, (size,)), attrs=RangeAttrs)
BOTH = Op("both_", lambda x: TupleType((x, TensorType(INT64, x.shape))))
FIND = Op("find_", lambda x: TensorType(INT64, (fresh(), x.rank)), binds_sizes=True)
EACH = Op("each_", lambda x, body, other: body.outputs[0].type, attrs=EachAttrs)
PRIVATE = {op.name: op for op in (FOLD, PICK, RANGE, BOTH, FIND, EACH)}


@pytest.fixture(autouse=True)
def private_ops(monkeypatch):
    for name, op in PRIVATE.items():
        monkeypatch.setitem(OPS, name, op)


def f32(*shape, name="x"):
    return placeholder("float32", shape, name=name)


def variable(name, *shape):
    return VARIABLE(name=name, type=TensorType(FLOAT32, shape))


def again(g):
    return parse(show(g), variables=variable_names(g))


# What it looks like


def test_a_program_reads_like_python():
    x, y = f32("n", 4), f32("n", 1, name="y")
    w = variable("w", 4)
    z = multiply(add(x, w), y)
    g = graph([x, y], [z, exp(z)], {w: multiply(w, constant(0.5, "float32"))})

    expected = """\
def main(x: f32[n, 4], y: f32[n, 1], *, w: f32[4]):
    v0: f32[n, 4] = add(x, w)
    v1: f32[n, 4] = multiply(v0, y)
    v2: f32[n, 4] = exp(v1)
    v3: f32[4] = multiply(w, f32(0.5))
    update(w, v3)
    return v1, v2
"""
    assert expected == show(g, origins=False)
    assert again(g) is g


def test_attributes_at_their_defaults_are_left_out():
    x = f32("n", 4)
    a = FOLD(x, axes=(0,), keepdims=False, mode="sum", dtype=None, scale=1.0)
    b = FOLD(x, axes=(0, 1), keepdims=True, mode="max", dtype=dtype("f64"), scale=float("-inf"))
    c = PICK(x, index=(Span(None), Span(1, symbol("n") + 1), Span(0, 2, 2), Fresh()), label='it\'s "x"\n#')
    d = RANGE(size=symbol("n") * 2 - 1, like=TensorType(FLOAT32, (symbol("n"),)))
    g = graph([x], [a, b, c, d, size_value(symbol("n"))])

    expected = """\
def main(x: f32[n, 4]):
    v0: f32[4] = fold_(x, axes=(0,))
    v1: f64 = fold_(x, axes=(0, 1), keepdims=True, mode="max", dtype=f64, scale=-inf)
    v2: f32[n, 4] = pick_(x, index=(Span(None), Span(1, n + 1), Span(0, 2, 2), Fresh()), label='it\\'s "x"\\n#')
    v3: i64[2*n - 1] = range_(size=2*n - 1, like=f32[n])
    v4: i64 = size_value(size=n)
    return v0, v1, v2, v3, v4
"""
    assert expected == show(g, origins=False)
    assert again(g) is g


def test_results_of_several_are_numbered():
    first, second = items(BOTH(f32(3)))
    g = graph([f32(3)], [add(first, first), second, pack(second), BOTH(f32(3))])

    expected = """\
def main(x: f32[3]):
    v0: (f32[3], i64[3]) = both_(x)
    v1: f32[3] = add(v0[0], v0[0])
    v2: (i64[3],) = pack(v0[1])
    return v1, v0[1], v2, v0
"""
    assert expected == show(g, origins=False)
    assert again(g) is g


def test_a_graph_inside_is_a_def_above_its_statement():
    x, y = f32("n"), f32("n", name="y")
    body = graph([x], [exp(x)], name="body", inner=True)
    other = graph([y], [negative(y)], name="body", inner=True)
    a = EACH(x, body=body)
    b = EACH(a, body=other, other=body)
    g = graph([x], [b])

    expected = """\
def main(x: f32[n]):
    def body(x: f32[n]):
        v0: f32[n] = exp(x)
        return v0
    v0: f32[n] = each_(x, body=body)
    @named("body")
    def body_2(y: f32[n]):
        v0: f32[n] = negative(y)
        return v0
    v1: f32[n] = each_(v0, body=body_2, other=body)
    return v1
"""
    assert expected == show(g, origins=False)
    assert again(g) is g


def test_a_comment_is_the_users_line_until_the_next():
    x = f32(7)
    with inherit(Origin("/home/me/train.py", 3)):
        y = exp(exp(x) + 1)
    with inherit(Origin("train\n.py", 14)):
        z = y * x
    text = show(graph([x], [z]))

    expected = """\
def main(x: f32[7]):
    v0: f32[7] = exp(x)           # train.py:3
    v1: f32[7] = add(v0, f32(1.0))
    v2: f32[7] = exp(v1)
    v3: f32[7] = multiply(v2, x)  # train?.py:14
    return v3
"""
    assert expected == text


def test_lines_are_read_back_from_comments():
    text = """\
def main(x: f32[77]):
    v0: f32[77] = exp(x)  # train.py:3
    v1: f32[77] = exp(v0)
    v2: f32[77] = exp(v1)  # "#"
    v3: f32[77] = exp(v2)  # 模型.py:9
    return v0, v1, v2, v3
"""
    found = [node.origin.place for node in parse(text).outputs]

    assert ["train.py:3", "train.py:3", "train.py:3", "模型.py:9"] == found


def test_names_are_made_identifiers_and_unique():
    x = f32(2, name="v0")
    w, v, u = variable("layer 1/w", 2), variable("v0", 2), variable("lambda", 2)
    g = graph([x], [x + w + v + u], name="train step")

    expected = """\
@named("train step")
def train_step(
    v0: f32[2],
    *,
    layer_1_w: f32[2] = "layer 1/w",
    v0_2: f32[2] = "v0",
    lambda_: f32[2] = "lambda",
):
    v1: f32[2] = add(v0, layer_1_w)
    v2: f32[2] = add(v1, v0_2)
    v3: f32[2] = add(v2, lambda_)
    return v3
"""
    assert expected == show(g, origins=False)
    assert again(g) is g
    assert g is parse(show(g), variables={"layer 1/w": w, "v0_2": v, "lambda": u})


def test_nothing_is_returned_as_an_empty_tuple():
    w = variable("w")
    g = graph([], [], {w: constant(1.0, "float32")})

    assert "def main(*, w: f32):\n    update(w, f32(1.0))\n    return ()\n" == show(g)
    assert again(g) is g


def test_nodes_show_as_the_graph_of_them():
    x = f32("n")

    assert "def main(x: f32[n]):\n    v0: f32[n] = exp(x)\n    return v0\n" == show(exp(x), origins=False)
    assert "def main(x: f32[n]):\n    return x, x\n" == show((x, x), origins=False)
    clash = show(add(f32("n"), f32(1)), origins=False)
    assert clash.startswith("def main(x: f32[n], x_2: f32[1]):\n    v0: f32[n] = add(x, x_2)\n")


# Constants


@pytest.mark.parametrize(
    "expected, value",
    [
        ("f32(0.1)", np.float32(0.1)),
        ("f32(-0.0)", np.float32(-0.0)),
        ("f32(1e-45)", np.float32(1e-45)),
        ("f32(3.4028235e+38)", np.finfo("float32").max),
        ("f32(inf)", np.float32(np.inf)),
        ("f32(-inf)", np.float32(-np.inf)),
        ("f32(nan)", np.float32(np.nan)),
        ("f32(bits=0x7fc00001)", np.uint32(0x7FC00001).view("float32")),
        ("f32(bits=0xffc00000)", np.uint32(0xFFC00000).view("float32")),
        ("f64(bits=0x7ff0000000000001)", np.uint64(0x7FF0000000000001).view("float64")),
        ("f64(5e-324)", np.float64(5e-324)),
        ("f16(0.1)", np.float16(0.1)),
        ("bf16(0.1)", dtype("bf16").numpy.type(0.1)),
        ("bf16(-0.0)", dtype("bf16").numpy.type(-0.0)),
        ("bool(True)", np.True_),
        ("i64(-9223372036854775808)", np.iinfo("int64").min),
        ("u64(18446744073709551615)", np.uint64(2**64 - 1)),
        ("c64(1.0, -2.0)", np.complex64(1 - 2j)),
        ("c128(-0.0, nan)", complex(-0.0, np.nan)),
        ("i8[2]([3, -4])", np.array([3, -4], "int8")),
        ("f32[2, 2]([[1.0, -0.0], [nan, inf]])", np.array([[1, -0.0], [np.nan, np.inf]], "float32")),
        ("f32[2](bits=[0x3f800000, 0x7fc00001])", np.array([0x3F800000, 0x7FC00001], "uint32").view("float32")),
        ("c64[2]([(1.0, 2.0), (-0.0, inf)])", np.array([1 + 2j, complex(-0.0, np.inf)], "complex64")),
        ("f32[0, 3]([])", np.zeros((0, 3), "float32")),
        ("f32[3, 0]([])", np.zeros((3, 0), "float32")),
        ("f32[1, 1]([[0.5]])", np.full((1, 1), 0.5, "float32")),
    ],
)  # fmt: skip
def test_constants_keep_every_bit(expected, value):
    g = graph([], [constant(value)])
    text = show(g)

    assert f"def main():\n    return {expected}\n" == text
    assert parse(text) is g


@pytest.mark.parametrize("row", DTYPES, ids=lambda row: row.short)
def test_every_bit_pattern_reads_back(row):
    drawn = np.random.default_rng(row.bits)
    if row.kind == "bool":
        values = np.array([True, False])
    else:
        values = np.frombuffer(drawn.bytes(row.numpy.itemsize * 400), row.numpy)
    g = graph([], [constant(value) for value in values] + [constant(values[i : i + 5]) for i in range(60)])

    assert again(g) is g


def test_large_constants_are_told_by_digest():
    value = np.arange(17, dtype="float32")
    g, arrays = graph([], [constant(value)]), {}
    text = show(g, arrays=arrays)
    (digest,) = arrays

    assert f'def main():\n    return f32[17](data="{digest}")\n' == text
    assert np.array_equal(value, arrays[digest])
    assert parse(text, arrays=arrays) is g
    assert parse(text) is g, "the constant is alive"
    with pytest.raises(ParseError, match="other content"):
        parse(text, arrays={digest: value + 1})
    with pytest.raises(ParseError, match=r"is f32\[1, 17\]"):
        parse(text, arrays={digest: value[None]})
    del g
    gc.collect()
    with pytest.raises(ParseError, match="no array"):
        parse(text)


# Reading back


def test_variables_that_are_not_given_are_new():
    w = variable("layer 1/w", 3)
    g = graph([], [w])
    fresh_one = parse(show(g)).outputs[0]

    assert fresh_one is not w
    assert (w.name, w.type) == (fresh_one.name, fresh_one.type)


def test_variables_inside_inner_graphs_are_those_of_the_program():
    x, w = f32(3), variable("x", 3)
    body = graph([x], [x + w], name="body", inner=True)
    g = graph([x], [EACH(x, body=body)])

    assert 'def main(x: f32[3], *, x_2: f32[3] = "x"):' == show(g).partition("\n")[0]
    assert again(g) is g


def test_sizes_that_data_decide_are_named_by_the_annotation():
    x = f32("n")
    found = FIND(x)
    g = graph([x], [found, RANGE(size=found.shape[0] + 1)])
    size = str(found.shape[0])

    assert again(g) is g
    renamed = show(g).replace(size, "unheard_of")
    assert f"i64[{size} + 1]" not in renamed and parse(renamed) is g


def test_a_size_of_an_input_is_not_one_that_data_decide_here():
    decided = str(FIND(f32("n", name="kept")).shape[0])
    keep = FIND(f32("n", name="kept"))
    (x,) = parse(f"def main(x: f32[{decided}]):\n    return x\n").inputs

    assert str(keep.shape[0]) == decided
    assert x.shape[0].source is None


def test_unnamed_placeholders_and_sizes_read_back():
    x = placeholder("float32", (None, 3))
    g = graph([x], [exp(x)])

    assert again(g) is g


def test_a_second_process_reads_the_same_text(tmp_path):
    x, w = f32("n", 4), variable("a b", 4)
    z = where(equal(x, 0), x * np.float32(0.1), w) + constant(np.array([1, -0.0, np.nan, 3], "float32"))
    g = graph([x], [z, astype(z, "bfloat16")], {w: w + 1}, name="a step")
    (tmp_path / "g.sg").write_text(show(g), encoding="utf-8")
    program = (
        "import sys, symgraph.ops.arithmetic\n"
        "from symgraph.graph.parse import parse\nfrom symgraph.graph.text import show\n"
        "text = open(sys.argv[1], encoding='utf-8').read()\nassert show(parse(text)) == text\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "g.sg"], check=True, cwd=Path(__file__).parents[2]
    )


def _drawn_graph(draw):
    """A small graph of everything: all dtypes, sizes, tuples, updates, inner graphs, special values."""
    specials = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.0, 0.1]
    sizes = draw.choice([("n", 3), (2, 3), ("n", 1), ("2*n + 1", "m"), (), ("max(n, 3)//2",)])
    row = draw.choice([row for row in DTYPES if row.kind != "bool"])
    inputs = [placeholder(row, sizes, name=name) for name in draw.sample(["x", "y", "v0", "main"], 2)]
    state = VARIABLE(name=draw.choice(["w", "x", "a b", "v1"]), type=inputs[0].type)
    values = [*inputs, state]
    for _ in range(draw.randrange(8)):
        a, b = draw.choice(values), draw.choice(values)
        match draw.randrange(9):
            case 0:
                values.append(add(a, b))
            case 1:
                values.append(multiply(a, constant(draw.choice(specials if row.is_inexact else [7]), row)))
            case 2:
                values.append(item(BOTH(a), 0))
            case 3:
                values.append(FOLD(a, axes=(), keepdims=draw.random() < 0.5, scale=draw.choice([1.0, 0.1])))
            case 4:
                body = graph(
                    [inputs[0]], [inputs[0] + 1], name=draw.choice(["body", "v0", "def"]), inner=True
                )
                values.append(EACH(a, body=body))
            case 5:
                FIND(b)
                values.append(PICK(a, index=(Span(FIND(b).shape[0]), Span(None, 3))))
            case 6:
                bits = draw.randbytes(row.numpy.itemsize)
                values.append(a + constant(np.frombuffer(bits, row.numpy)[0]))
            case 7:
                values.append(where(equal(a, b), a, b))
            case 8:
                values.append(subtract(a, a))
    updates = {state: values[-1]} if draw.random() < 0.5 else {}
    return graph(
        inputs, draw.choices(values, k=draw.randrange(4)), updates, name=draw.choice(["main", "a b"])
    )


@pytest.mark.parametrize("seed", range(200))
def test_drawn_graphs_read_back(seed):
    g = _drawn_graph(random.Random(seed))

    assert again(g) is g, show(g)


def test_a_long_chain_prints_and_reads():
    x = y = f32("n")
    for i in range(20_000):
        y = exp(y) if i % 2 else y + x
    g = graph([x], [y])

    assert again(g) is g


def test_a_name_is_the_one_that_python_reads():
    g = graph([placeholder("float32", (3,), name="\ufb01t")], [])

    assert g.inputs[0].name == "fit"
    assert again(g) is g


# Refusals


def program(*statements, result="x", head="def main(x: f32[n, 3], y: f32[n, 4], k: i64, *, w: f32[3]):"):
    return "\n".join([head, *(f"    {line}" for line in statements), f"    return {result}", ""])


@pytest.mark.parametrize(
    "line, message",
    [
        ("v0: f32[n, 3] = exq(x)", "no op called 'exq'; did you mean exp"),
        ("v0: f32[n, 3] = exp(z)", "no value called 'z'"),
        ("v0: f32[n, 3] = exp(x, x)", "exp takes 1 inputs, not 2"),
        ("v0: f32[n, 3] = exp()", "exp takes 1 inputs, not 0"),
        ("v0: f32[n, 3] = where(x)", "where"),
        ("v0: f32[n, 3] = fold_(axes=(0,))", "fold_ takes 1 inputs, not 0"),
        ("v0: f32[n, 3] = exp(x, axis=1)", "no attribute of exp called 'axis'"),
        ("v0: f32[n, 3] = exp(x, **{})", "no attribute of exp called '**'"),
        ("v0: f32[n, 4] = exp(x)", "'v0' is f32[n, 4] here, but exp gives f32[n, 3]"),
        ("v0: f32[m, 3] = exp(x)", "no size called 'm'"),
        ("v0: f32[max(n), 3] = exp(y)", "exp gives f32[n, 4]"),
        ("v0: g32 = exp(x)", "no size called 'g32'"),
        ("v0: 'f32' = exp(x)", "is no type"),
        ("v0: f32[n, 3] = add(x, y)", "axis -1 is 3 and 4"),
        ("v0: f32[n, 3] = add(x, k)", "does not promote"),
        ("v0: f32[n, 3] = exp(both_(x))", "every op has a statement of its own"),
        ("v0: f32[n, 3] = exp(x[0])", "has no result 0"),
        ("v0: f32[n, 3] = exp(*x)", "an input is a name"),
        ("v0: f32[n, 3] = x + x", "an input is a name"),
        ("v0 = exp(x)", "'v0' needs its type"),
        ("x: f32[n, 3] = exp(x)", "'x' is defined already"),
        ("w: f32[n, 3] = exp(x)", "'w' is defined already"),
        ("v0: f32[n, 3]", "a statement is"),
        ("x.y: f32[n, 3] = exp(x)", "a statement is"),
        ("import os", "a statement is"),
        ("print(x)", "a statement is"),
        ("return x", "a statement is"),
        ("update(x, w)", "a variable is expected, and 'x' is none"),
        (
            "v0: f32 = placeholder(name='z', type=f32)",
            "placeholder is no statement; it is written a parameter",
        ),
        ("v0: f32 = variable(name='z', type=f32)", "variable is no statement"),
        ("v0: f32 = constant(value=1)", "constant is no statement"),
        ("v0: f32[3] = fold_(x)", "fold_ needs axes"),
        ("v0: f32[3] = fold_(x, axes=(), axes=())", "axes"),
        ("v0: f32[3] = fold_(x, axes=0)", "axes of fold_: a tuple is expected, not 0"),
        ("v0: f32[3] = fold_(x, axes=(True,))", "an int is expected, not True"),
        ("v0: f32[3] = fold_(x, axes=(1.0,))", "an int is expected, not 1.0"),
        ("v0: f32[3] = fold_(x, axes=(2**70,))", "an int is expected"),
        ("v0: f32[3] = fold_(x, axes=(99999999999999999999999,))", "an int has 64 bits"),
        ("v0: f32[3] = fold_(x, axes=(5,))", "no axis (5,)"),
        ("v0: f32[3] = fold_(x, axes=(), keepdims=1)", "True or False is expected, not 1"),
        ("v0: f32[3] = fold_(x, axes=(), mode='min')", "'sum' or 'max' is expected, not 'min'"),
        ("v0: f32[3] = fold_(x, axes=(), dtype='f32')", "DType or NoneType is expected, not 'f32'"),
        ("v0: f32[3] = fold_(x, axes=(), scale='1')", "a finite float"),
        ("v0: f32[3] = pick_(x, index=(Span(),))", "index of pick_"),
        ("v0: f32[3] = pick_(x, index=(Spam(1),))", "Span or Fresh is expected, not Spam(1)"),
        ("v0: i64[3] = range_(size=q)", "no size called 'q'"),
        ("v0: i64[3] = range_(size=n/2)", "a size has ints"),
        ("v0: i64[3] = range_(size=3, like=(f32, f32))", "like of range_"),
        ("v0: f32[n, 3] = each_(x, body=main)", "a graph is expected, not main"),
        ("v0: f32[n, 3] = add(x, f32(1, 2))", "a constant is"),
        ("v0: f32[n, 3] = add(x, f32(1e39))", "too large for float32"),
        ("v0: f32[n, 3] = add(x, f32(1e999))", "a finite float"),
        ("v0: f32[n, 3] = add(x, f32(True))", "True is no float32"),
        ("v0: f32[n, 3] = add(x, f32(bits=2**3))", "an int is expected"),
        ("v0: f32[n, 3] = add(x, f32(bits=0x100000000))", "bits of an element are 32"),
        ("v0: f32[n, 3] = add(x, f32(bits=[1]))", "an int is expected"),
        ("v0: f32[n, 3] = add(x, f32[2]([1.0]))", "an axis has 2 elements, and 1 are given"),
        ("v0: f32[n, 3] = add(x, f32[2](bits=[1]))", "has 2 elements, and 1 are given"),
        ("v0: f32[n, 3] = add(x, f32[n]([1.0]))", "the sizes of a constant are ints"),
        ("v0: f32[n, 3] = add(x, f32[0, 9223372036854775807]([]))", "too big"),
        ("v0: f32[n, 3] = add(x, i8(300))", "too large for int8"),
        ("v0: f32[n, 3] = add(x, bool(1))", "1 is no bool"),
        ("v0: f32[n, 3] = add(x, f32[17](data='00'))", "no array for the digest '00'"),
    ],
)
def test_a_wrong_line_is_refused_where_it_stands(line, message):
    with pytest.raises(ParseError) as caught:
        parse(program(line, result="x"))

    assert message in str(caught.value)
    assert (2, f"  {line}") == (caught.value.line, str(caught.value).splitlines()[-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        "def main():\n    pass\n",
        "def main(x):\n    return x\n",
        "def main(x: (f32, f32)):\n    return x\n",
        "def main(x: f32, x: f32):\n    return x\n",
        "def main(x: f32, /, y: f32):\n    return x\n",
        "def main(*x: f32):\n    return x\n",
        "def main(x: f32 = 1):\n    return x\n",
        "def main(*, w: f32 = 1):\n    return w\n",
        "def main(x: f32) -> f32:\n    return x\n",
        "@other\ndef main(x: f32):\n    return x\n",
        "async def main(x: f32):\n    return x\n",
        "def main(x: f32[n]):\n    return\n",
        "def main(x: f32[n, -1]):\n    return 1\n",
        "def main(x: f32[" + "-" * 300 + "n]):\n    return x\n",
        "def main(x: f32[" + "9" * 5000 + "]):\n    return x\n",
        "def main(x: f32[" + "+".join(["n"] * 50_000) + "]):\n    return x\n",
        "def main(x: f32):\n    def f(*, w: f32):\n        return w\n    return x\n",
        "def main(x: f32):\n    return y\n",
        "def main(x: f32[n]):\n    def f(y: f32[n]):\n        return x\n    return x\n",
        "def main(x: f32):\n    return " + "(" * 150 + "x" + ")" * 150 + "[0]\n",
        "def main(x: f32):\n    return " + "-" * 100_000 + "1\n",
        "def main(x: f32):\n    return " + "x." * 50_000 + "x\n",
        "def main(x: f32):\n    return f32[1](" + "[" * 90 + "]" * 90 + ")\n",
        "def main():\n"
        + "".join(f"{'    ' * i}def f():\n" for i in range(1, 99))
        + "    " * 99
        + "return ()\n",
        "def main(\0):\n    return ()\n",
        "def main(x: f32):\n    return '\ud800'\n",
        "def ma\u00ffin(é: f32):\n    ü: f32 = exq(é)\n    return ü\n",
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ParseError):
        parse(text)


def test_a_wrong_update_is_refused():
    with pytest.raises(ParseError, match=r"is f32\[3\] and its update is f32\[n, 3\]"):
        parse(program("update(w, x)"))
    with pytest.raises(ParseError, match="'w' is updated twice"):
        parse(program("update(w, w)", "update(w, w)"))


def test_a_variable_given_must_fit():
    text = show(graph([], [variable("w", 3), variable("u", 3)]))
    w = variable("w", 3)

    with pytest.raises(ParseError, match=r"is f32\[3\] here, and f32\[4\] is given"):
        parse(text, variables={"w": variable("w", 4)})
    with pytest.raises(ParseError, match="is none"):
        parse(text, variables={"w": f32(3)})
    with pytest.raises(ParseError, match="two variables"):
        parse(text, variables={"w": w, "u": w})


def test_columns_count_characters():
    with pytest.raises(ParseError) as caught:
        parse(program("é: f32[n, 3] = exq(x)"))

    assert (2, 20) == (caught.value.line, caught.value.column)


def test_a_type_rule_that_crashes_is_the_texts_fault():
    crash = Op("crash_", lambda x: [][0])
    OPS["crash_"] = crash
    try:
        with pytest.raises(ParseError, match=r"crash_.* refuses .*IndexError"):
            parse(program("v0: f32 = crash_(x)"))
    finally:
        del OPS["crash_"]


def test_mutated_texts_end_in_a_graph_or_a_parse_error():
    pieces = [
        "(",
        ")",
        "[",
        "]",
        "x",
        "v0",
        "f32",
        "-",
        "1",
        "0x7f",
        "n",
        ":",
        "=",
        ",",
        "\n",
        "    ",
        "'",
        "#",
    ]
    pieces += [
        "*",
        "**",
        "def f():",
        "nan",
        "1e999",
        "9" * 30,
        "bits=",
        "data=",
        "None",
        "True",
        "\0",
        "é",
        "@",
    ]
    ended = {Graph: 0, ParseError: 0}
    for seed in range(600):
        draw = random.Random(seed)
        text = show(_drawn_graph(random.Random(seed % 40)))
        for _ in range(draw.randrange(1, 4)):
            at = draw.randrange(len(text))
            words = text.split(" ")
            match draw.randrange(5):
                case 0:
                    text = text[:at] + draw.choice(pieces) + text[at:]
                case 1:
                    text = text[:at] + text[at + draw.randrange(1, 9) :]
                case 2:
                    text = text[:at] + draw.choice(pieces) + text[at + 1 :]
                case 3:
                    i, j = draw.randrange(len(words)), draw.randrange(len(words))
                    words[i], words[j] = words[j], words[i]
                    text = " ".join(words)
                case 4:
                    lines = text.split("\n")
                    lines.insert(draw.randrange(len(lines)), draw.choice(lines))
                    text = "\n".join(lines)
            text = text or " "
        try:
            ended[type(parse(text))] += 1
        except ParseError as error:
            ended[ParseError] += 1
            assert str(error)

    assert min(ended.values()) > 20


def test_unary_names_of_ops_do_not_clash_with_inputs():
    x = f32(3, name="exp")
    g = graph([x], [exp(abs(x))], name="exp")

    assert again(g) is g
