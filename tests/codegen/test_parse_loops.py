"""Kernels as text: what it looks like, that it reads back, and that no text does worse than fail."""

import random
from dataclasses import replace

import numpy as np
import pytest

import symgraph as sg
from symgraph.codegen.loops import Compute, Load, Number, Store, Sweep, Value, statements
from symgraph.codegen.lower import lower
from symgraph.codegen.parse_loops import parse_loops
from symgraph.codegen.verify_loops import verify_loops
from symgraph.errors import ParseError, VerifyError
from symgraph.graph.graph import graph
from symgraph.graph.types import BY_NAME, DTYPES
from symgraph.optimizations.pipeline import optimize
from symgraph.optimizations.plan import plan
from tests.fuzz.drawing import draw_program

GROUPS, OF_A_GROUP = 6, 10
EXAMPLE = """\
def kernel_0(x: f32[n, k], w: f32[k], *, out: f32[n, k], out_1: i64[n]):
    for i in rows(n):
        for j in sweep(k):
            v0: f32 = x[i, j]
            v1: f32 = reduce(max, v0)
        v2: i64 = astype(v1, dtype=i64)
        for j in sweep(k):
            v3: f32 = w[min(j, k - 1)]
            v4: bool = less(v0, f32(-inf))
            v5: f32 = where(v4, f32(-0.0), v3)
            out[i, j] = v5
        out_1[i] = v2
"""

x = sg.placeholder("float32", ("n", "k"), name="x")
w = sg.placeholder("float32", ("k",), name="w")
z = sg.placeholder("complex64", ("n", "k"), name="z")
b = sg.placeholder("bfloat16", ("n",), name="b")
t = sg.placeholder("float64", (2, "n", 3), name="t")


def layer_norm():
    centred = x - sg.mean(x, axis=1, keepdims=True)
    return centred / sg.sqrt(sg.var(x, axis=1, keepdims=True) + 1e-5) * w


def adam():
    weight, slope, mean, square = (sg.placeholder("float32", ("n",), name=name) for name in "wgmv")
    mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope * slope
    return [weight - 0.001 * mean / (sg.sqrt(square) + 1e-8), mean, square]


PROGRAMS = {
    "softmax": [sg.softmax(x, axis=1)],
    "layer norm": [layer_norm()],
    "adam": adam(),
    "astype": [sg.astype(x, "float16"), sg.astype(x, "bool"), sg.round(t, 2)],
    "where": [sg.where(x > 0, np.float32("nan"), np.float32("-inf")), sg.where(x < 1, -0.0, x)],
    "two axes": [t / sg.sum(t, axis=(0, 2), keepdims=True)],
    "all axes": [sg.sum(t, keepdims=True), sg.max(t)],
    "places": [sg.max(x, axis=1), sg.argmax(x, axis=1), sg.argmin(t), sg.argmax(b + 1)],
    "complex": [z * (1 - 2j) + 0.5, sg.abs(z), sg.sum(z, axis=0)],
    "bfloat16": [b * 3 + 0.1],
    "no rows": [sg.placeholder("float64", (), name="a") + 1],
    "sizes": [sg.concatenate([x, x], axis=0) * 2, x[1:] + x[:-1]],
}


def kernels_of(outputs):
    given = [node for node in sg.toposort(outputs) if node.op.name == "placeholder"]
    built = optimize(graph(given, outputs), sg.Options())[-1].graph
    return [lower(kernel) for kernel in plan(built).kernels]


def read_back(kernel):
    """The kernel that its text says, which must be itself, and sound."""
    again = parse_loops(str(kernel))

    assert kernel == again
    assert str(kernel) == str(again)
    verify_loops(again)
    return again


@pytest.mark.parametrize("outputs", PROGRAMS.values(), ids=PROGRAMS)
def test_kernels_read_back(outputs):
    kernels = kernels_of(outputs)

    assert kernels
    for kernel in kernels:
        read_back(kernel)


@pytest.mark.parametrize("group", range(GROUPS))
def test_kernels_of_drawn_programs_read_back(group):
    for seed in range(group * OF_A_GROUP, (group + 1) * OF_A_GROUP):
        for kernel in kernels_of([node for node, _ in draw_program(seed).values]):
            read_back(kernel)


def test_the_example_is_what_it_says():
    kernel = parse_loops(EXAMPLE)

    verify_loops(kernel)
    assert EXAMPLE == str(kernel)
    assert ["n", "k"] == [str(loop.size) for loop in (*kernel.rows, *kernel.body[0].loops)]


def test_lines_are_no_part_of_what_a_kernel_is():
    (kernel,) = kernels_of([sg.exp(x)])
    origins = [each.origin for each, _, _ in statements(kernel) if isinstance(each, Compute)]
    again = [each.origin for each, _, _ in statements(read_back(kernel)) if isinstance(each, Compute)]

    assert all(origins)
    assert [None] * len(origins) == again


@pytest.mark.parametrize("row", DTYPES, ids=str)
def test_numbers_keep_every_bit(row):
    words = [0, 1, *np.random.default_rng(0).integers(0, 256, (20, row.numpy.itemsize), "uint8")]
    if row.kind == "bool":
        values = np.array([False, True])
    else:
        data = b"".join(bytes(row.numpy.itemsize) if np.ndim(word) == 0 else word.tobytes() for word in words)
        values = np.frombuffer(data, row.numpy)
    if row.is_inexact:
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1 / 3])
        values = np.concatenate([values, special.astype(row.numpy)])
    kernel = parse_loops(EXAMPLE)
    for value in values:
        stored = Store(replace(kernel.writes[0], type=replace(kernel.writes[0].type, dtype=row)), (), value)
        made = replace(stored, param=replace(stored.param, type=replace(stored.param.type, shape=())))
        number = Number(row, value)
        one = replace(
            kernel, reads=(), writes=(made.param,), once=(replace(made, value=number),), rows=(), body=()
        )
        again = read_back(one)

        assert value.tobytes() == again.once[0].value.value.tobytes()


def test_numbers_of_other_bits_are_others():
    row = BY_NAME["float32"]
    nan, other = np.array([0x7FC00000, 0x7FC00001], "uint32").view("float32")

    assert Number(row, nan) == Number(row, nan)
    assert Number(row, nan) != Number(row, other)
    assert Number(row, np.float32(0.0)) != Number(row, np.float32(-0.0))
    assert Number(row, np.float32(1.0)) == Number(row, 1.0)


BROKEN = {
    "no kernel": ("v0 = 1\n", "line 1: a kernel is one function"),
    "no Python": (EXAMPLE.replace("rows(n):", "rows(n)"), "line 2, column 21: expected ':'"),
    "an unknown op": (
        EXAMPLE.replace("less(", "lesser("),
        "line 9, column 24: there is no op called 'lesser'",
    ),
    "a value from nowhere": (
        EXAMPLE.replace("out_1[i] = v2", "out_1[i] = v9"),
        "line 12, column 20: there is no value called 'v9'; there are v0, v1",
    ),
    "an array from nowhere": (
        EXAMPLE.replace("= x[i, j]", "= y[i, j]"),
        "line 4, column 23: there is no array called 'y'; there are x, w, out, out_1",
    ),
    "a size from nowhere": (
        EXAMPLE.replace("k - 1", "m - 1"),
        "line 8, column 25: there is no size or loop variable called 'm'; there are k, n, i, j",
    ),
    "a variable that turns elsewhere": (
        EXAMPLE.replace("out_1[i] = v2", "out_1[j] = v2"),
        "line 12, column 15: there is no size or loop variable called 'j'",
    ),
    "a value named twice": (EXAMPLE.replace("v4:", "v3:"), "line 9, column 13: 'v3' is defined already"),
    "an array named twice": (
        EXAMPLE.replace("w: f32[k]", "x: f32[k]"),
        "line 1, column 28: 'x' is defined already",
    ),
    "a variable named like a size": (
        EXAMPLE.replace("for i in", "for k in"),
        "line 2, column 9: 'k' is a size already",
    ),
    "no type": (EXAMPLE.replace("v3: f32 =", "v3 ="), "line 8, column 13: 'v3' needs its type: v3: f32 = …"),
    "a type with axes": (
        EXAMPLE.replace("v3: f32 =", "v3: f32[n] ="),
        "line 8, column 17: 'v3' is one element",
    ),
    "an unknown dtype": (EXAMPLE.replace("v3: f32 =", "v3: f33 ="), "line 8, column 17: 'f33' is no type"),
    "an attribute left out": (
        EXAMPLE.replace(", dtype=i64", ""),
        "line 6, column 19: astype needs dtype",
    ),
    "an attribute that is none": (
        EXAMPLE.replace("dtype=i64", "kind=i64"),
        "line 6, column 30: there is no attribute of astype called 'kind'; there are dtype",
    ),
    "an op in an op": (
        EXAMPLE.replace("less(v0,", "less(exp(v0),"),
        "line 9, column 29: an input is a name or a number",
    ),
    "more than an element": (
        EXAMPLE.replace("less(v0, f32(-inf))", "matmul(v0, v0)"),
        "line 9, column 24: matmul computes more than an element of elements",
    ),
    "a number with axes": (
        EXAMPLE.replace("f32(-inf)", "f32[1]([1.0])"),
        "line 9, column 33: a number has no axes",
    ),
    "a number too large": (EXAMPLE.replace("-inf", "1e99"), "line 9, column 33: a number is too large"),
    "more variables than sizes": (
        EXAMPLE.replace("for i in", "for i, l in"),
        "line 2, column 5: 2 variables turn, and 1 sizes are given",
    ),
    "no rows": (
        "def k(x: f32[n], *, out: f32[n]):\n    v0: f32 = x[0]\n",
        "line 2, column 5: the last part of a kernel is",
    ),
    "a loop that is no sweep": (
        EXAMPLE.replace("for j in sweep(k)", "for j in range(k)", 1),
        "line 3, column 9: a loop is for i, j in sweep(n, m):",
    ),
    "another statement": (
        EXAMPLE.replace("out[i, j] = v5", "print(v5)"),
        "line 11, column 13: a statement is v: type = array",
    ),
    "a default": (
        EXAMPLE.replace("w: f32[k]", "w: f32[k] = 1"),
        "line 1, column 1: parameters are name: type",
    ),
}


@pytest.mark.parametrize("text, message", BROKEN.values(), ids=BROKEN)
def test_broken_texts_are_refused_with_their_lines(text, message):
    with pytest.raises(ParseError) as raised:
        parse_loops(text)

    assert message in str(raised.value)


def test_no_text_does_worse_than_fail():
    rng = random.Random(0)
    pieces = [
        "",
        "(",
        ")",
        ":",
        "v0",
        "rows",
        "-1",
        "*",
        "[",
        "0.5",
        "\n",
        "    ",
        "n",
        "sum",
        "'",
        "2**99",
        "\0",
    ]
    for _ in range(1000):
        start = rng.randrange(len(EXAMPLE))
        text = EXAMPLE[:start] + rng.choice(pieces) + EXAMPLE[start + rng.randrange(6) :]
        try:
            kernel = parse_loops(text)
        except ParseError:
            continue
        assert kernel == parse_loops(str(kernel))
        try:
            verify_loops(kernel)
        except VerifyError:
            continue


# What verify_loops refuses


def moved(index, size="n", extent="n"):
    """A kernel that reads ``x[index]`` of a size while ``i`` and ``j`` turn."""
    return parse_loops(
        f"def k(x: f32[{size}], *, out: f32[{extent}, m]):\n    for i, j in rows({extent}, m):\n"
        f"        v0: f32 = x[{index}]\n        out[i, j] = v0\n"
    )


@pytest.mark.parametrize(
    "index, size, extent, message",
    [
        ("i + 1", "n", "n", "i + 1, which is n where i is n - 1, is outside of axis 0 of x: f32[n]"),
        ("i - 1", "n", "n", "i - 1, which is -1 where i is 0,"),
        ("n - i", "n", "n", "n - i, which is n where i is 0,"),
        ("i", "n - 1", "n", "i, which is n - 1 where i is n - 1,"),
        ("i", "4", "5", "i, which is 4 where i is 4,"),
        ("2*i", "2*n - 2", "n", "2*i, which is 2*n - 2 where i is n - 1,"),
        ("i + j", "n + m - 2", "n", "where i is n - 1 and j is m - 1,"),
        ("i*m + j", "n*m - 1", "n", "where i is n - 1 and j is m - 1,"),
        ("min(i, n)", "n", "n + 1", "where i is n,"),
        ("i//2", "n", "2*n + 1", "where i is 2*n,"),
        ("5", "5", "n", "5 is outside of axis 0"),
        ("-1", "5", "n", "-1 is outside of axis 0"),
        ("n", "n", "n", "n is outside of axis 0"),
    ],
)
def test_an_index_outside_of_its_array_is_found(index, size, extent, message):
    with pytest.raises(VerifyError) as raised:
        verify_loops(moved(index, size, extent))

    assert message in str(raised.value)


@pytest.mark.parametrize(
    "index, size, extent",
    [
        ("i", "n", "n"),
        ("i + 1", "n + 1", "n"),
        ("n - 1 - i", "n", "n"),
        ("i*m + j", "n*m", "n"),
        ("i//2", "n", "2*n"),
        ("i % 3", "3", "n"),
        ("min(i, n - 1)", "n", "broadcast(n, k)"),
        ("j", "n", "n"),  # where m is at most n
        ("i", "n", "k"),
        ("0", "n", "n"),
        ("i", "3", "0"),
        ("i + 9", "3", "0"),  # which nothing reads
        ("i + 9", "3", "max(min(n, 0), 0)"),
        ("min(i, max(min(n - 1, 0), 0) - 1)", "max(min(n - 1, 0), 0)", "broadcast(n, max(min(n - 1, 0), 0))"),
    ],
)
def test_an_index_that_may_be_inside_is_not_refused(index, size, extent):
    verify_loops(moved(index, size, extent))


def test_a_store_outside_of_its_array_is_found():
    text = EXAMPLE.replace("out_1[i] =", "out_1[i + 1] =")

    with pytest.raises(VerifyError, match="is outside of axis 0 of out_1"):
        verify_loops(parse_loops(text))


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("v0: f32 = x", "v0: f64 = x", "float64 is no element of f32"),
        ("v4: bool = less", "v4: f32 = less", "less gives bool, not f32"),
        ("v1: f32 = reduce(max", "v1: f64 = reduce(max", "max gives f32, not f64"),
        ("reduce(max", "reduce(exp", "exp refuses its inputs"),
        ("reduce(max", "reduce(argmax", "argmax gives i64, not f32"),
        ("reduce(max", "reduce(cumulative_sum", "cumulative_sum refuses its inputs"),
        ("where(v4, f32(-0.0), v3)", "where(v4, v3)", "where refuses its inputs"),
        ("out_1[i] = v2", "out_1[i] = i64(0)", None),
        ("out_1[i] = v2", "out_1[i] = v0", "v0 is an element, and a row reads it"),
        ("out_1[i] = v2", "out_1[0] = v2", "every turn of i writes one place"),
        ("out_1[i] = v2", "pass", "nothing is written to out_1"),
        ("out[i, j]", "x[i, j]", "x is not among what is written"),
        ("= x[i, j]", "= out[i, j]", "out is not among what is read"),
        ("w[min(j, k - 1)]", "w[i, j]", "f32[k] has 1 axes"),
        ("    out_1[i]", "    v9: i64 = reduce(sum, v2)\n        out_1[i]", "reduced outside of a sweep"),
    ],
)
def test_what_makes_no_sense_is_found(before, after, message):
    assert before in EXAMPLE
    kernel = parse_loops(EXAMPLE.replace(before, after))

    if message is None:
        verify_loops(kernel)
        return
    with pytest.raises(VerifyError) as raised:
        verify_loops(kernel)
    assert message in str(raised.value)


def test_an_array_with_no_name_is_found():
    kernel = parse_loops(EXAMPLE)
    x, w = kernel.reads

    for name in ("my weights", "lambda", "x"):
        with pytest.raises(VerifyError, match="called"):
            verify_loops(replace(kernel, reads=(x, replace(w, name=name))))


def test_a_value_named_twice_is_found():
    kernel = parse_loops(EXAMPLE)
    sweep = kernel.body[0]
    twice = Sweep(sweep.loops, (sweep.body[0], *sweep.body))

    with pytest.raises(VerifyError, match="v0 is named twice"):
        verify_loops(replace(kernel, body=(twice, *kernel.body[1:])))


def test_a_value_read_before_it_is_known_is_found():
    kernel = parse_loops(EXAMPLE)
    first = Load(Value("v7", BY_NAME["float32"]), kernel.reads[1], (0,))
    store = Store(kernel.writes[1], (kernel.rows[0].variable,), Value("v8", BY_NAME["int64"]))

    with pytest.raises(VerifyError, match="v8 is read before it is known"):
        verify_loops(replace(kernel, body=(first, store, *kernel.body)))
