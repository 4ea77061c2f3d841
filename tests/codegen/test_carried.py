"""Loops as one kernel: beside the same loops turn by turn, bit by bit; what is none, and what text may say of them."""

import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import symgraph as sg
from symgraph.codegen.carried import carried
from symgraph.codegen.loops import Value
from symgraph.codegen.parse_loops import parse_loops
from symgraph.codegen.verify_loops import verify_loops
from symgraph.errors import ParseError, VerifyError
from symgraph.graph.graph import graph
from symgraph.graph.types import FLOAT32
from symgraph.optimizations import plan
from symgraph.runtime import code as code_of_this_process
from symgraph.runtime import native, native_backend, native_carried
from symgraph.runtime.cpu import host

PLACES = [
    ("float64", 30),
    ("float32", 30),
    ("float16", 12),
    ("int64", 12),
    ("uint32", 12),
    ("complex128", 12),
]
SHAPES = [(), (1,), (5,), (8,), (33,), (70,), (3, 7)]


@pytest.fixture
def made(monkeypatch):
    """The loops that became one kernel; all that can, be it quicker or not."""
    found = []
    monkeypatch.setattr(native_carried, "carries_well", lambda *_: True)
    original = native_backend.native_carried

    def ask(*given):
        one = original(*given)
        found.extend([one] if one is not None else [])
        return one

    monkeypatch.setattr(native_backend, "native_carried", ask)
    return found


def both(monkeypatch, args, outputs, given, **options):
    """What a function gives with loops as one kernel, and what turn by turn."""
    options = sg.Options(backend="llvm", **options)
    one = sg.function(args, outputs, options=options)
    found = [one(*given) for _ in range(2)][-1]
    with monkeypatch.context() as patch:
        patch.setattr(native_backend, "native_carried", lambda *_: None)
        expected = sg.function(args, outputs, options=options)(*given)
    return found, expected


def same_bits(found, expected, message=""):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b, err_msg=message)
        if a.dtype.kind in "fc":
            np.testing.assert_array_equal(np.signbit(a.real), np.signbit(b.real), err_msg=message)


def numbers(rng, dtype, shape):
    kind = np.dtype(dtype).kind
    if kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype)
    x = rng.uniform(-1, 1, shape)
    return (x + 1j * rng.uniform(-1, 1, shape) if kind == "c" else x).astype(dtype)


def drawn(rng, dtype, carries, rows, outer):
    """A function of carries, rows, what is outside and the number of the turn, to the next carries and two stacks."""
    kind = np.dtype(dtype).kind
    steps = []
    reads_number = bool(rng.integers(2))
    count = carries + rows + outer + reads_number
    for n in range(int(rng.integers(2, 7))):
        a, b = (max(0, count + n - 1 - int(rng.exponential(3))) for _ in range(2))
        steps.append((str(rng.choice(["add", "multiply", "subtract", "where", "tanh"])), a, b))
    results = [int(rng.integers(0, count + len(steps))) for _ in range(carries + 2)]

    def body(number, now, row, outside):
        values = [*now, *row, *outside]
        if reads_number:
            values.append(number.astype(dtype))
        for name, a, b in steps:
            x, y = values[a], values[b]
            if name == "where":
                values.append(sg.where(x.real > 0.1 if kind == "c" else x > y, y, x + y))
            elif name == "tanh" and kind in "fc":
                values.append(sg.tanh(x) if kind == "f" else x * 0.5)
            else:
                values.append(getattr(sg, name if name != "tanh" else "add")(x, y))
        zero = now[0] * 0  # as long as a carry
        made = [values[n] + zero for n in results]
        if kind in "fc":
            made = [x * 0.4 for x in made]
        return made[:carries], made[carries:]

    return body


@pytest.mark.parametrize("chunks", ["one", "many"])
@pytest.mark.parametrize("dtype, programs", PLACES)
def test_drawn_bodies_have_the_bits_of_single_turns(monkeypatch, made, dtype, programs, chunks):
    if chunks == "many":
        monkeypatch.setattr(native_carried, "_PATIENCE", 3000.0)
        monkeypatch.setattr(native_carried, "_LEAST", 2)
        monkeypatch.setattr(native_carried, "_NEAR", 256)
    rng = np.random.default_rng([7, programs, np.dtype(dtype).num])
    for program in range(programs):
        shape = SHAPES[rng.integers(len(SHAPES))]
        turns = int(rng.choice([0, 1, 2, 7, 40]))
        carries, rows, outer = (int(rng.integers(low, 3)) for low in (1, 0, 0))
        body, reverse = drawn(rng, dtype, carries, rows, outer), bool(rng.integers(2))
        lower = [shape if rng.integers(3) else () for _ in range(rows + outer)]
        starts = [sg.placeholder(dtype, shape, name=f"c{n}") for n in range(carries)]
        through = [sg.placeholder(dtype, (turns, *lower[n]), name=f"r{n}") for n in range(rows)]
        outside = [sg.placeholder(dtype, lower[rows + n], name=f"o{n}") for n in range(outer)]
        count = sg.arange(turns)

        def turn(carry, row, body=body, outside=outside):
            number, *row = row
            after, stacked = body(number, carry, row, outside)
            return tuple(after), tuple(stacked)

        last, stacks = sg.scan(turn, tuple(starts), (count, *through), reverse=reverse)
        outputs = [*last, *stacks]
        wanted = [x for x in outputs if rng.integers(3)] or outputs[:1]
        used = set(graph([*starts, *through, *outside], wanted).nodes())
        args = [x for x in (*starts, *through, *outside) if x in used]
        given = [numbers(rng, dtype, x.shape) for x in args]
        if len(shape) == 2:  # elements that do not lie in order
            given[0] = np.ascontiguousarray(given[0].T).T
        found, expected = both(monkeypatch, args, wanted, given)
        message = f"{program}: {shape}, {turns} turns"

        same_bits(found, expected, message)
        with np.errstate(all="ignore"):
            plain = sg.evaluate(wanted, dict(zip(args, given, strict=True)))
        loose = {"float16": 2e-2, "float32": 1e-4}.get(dtype, 1e-9)
        for a, b in zip(found, plain, strict=True):
            np.testing.assert_allclose(
                a.astype("complex128"), b.astype("complex128"), loose, loose, err_msg=message
            )
    assert len(made) > programs // 2


@pytest.mark.parametrize("turns", [0, 1, 2, 1000])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_number_of_the_turn(monkeypatch, made, turns, reverse):
    monkeypatch.setattr(native_carried, "_PATIENCE", 50_000.0)
    x = sg.placeholder("float64", ("n",), name="x")
    if reverse:
        out = sg.grad(sg.fori_loop(0, turns, lambda i, c: sg.sin(c) + i * 1e-3, x).sum(), x)
    else:
        out = sg.fori_loop(3, turns + 3, lambda i, c: c * 0.9 + i, x)
    given = np.linspace(-1, 1, 11)
    found, expected = both(monkeypatch, [x], [out], [given])

    assert made
    same_bits(found, expected)


def test_gradients_are_one_kernel_too(monkeypatch, made):
    a, x = (sg.placeholder("float64", ("n",), name=name) for name in "ax")
    rows = sg.placeholder("float64", ("t", "n"), name="rows")
    last, _ = sg.scan(lambda c, r: (sg.tanh(a * c + r), None), x, rows)
    outputs = [last, *sg.grad(last.sum(), [a, x, rows])]
    rng = np.random.default_rng(0)
    given = [rng.normal(size=70), rng.normal(size=70), rng.normal(size=(13, 70))]
    found, expected = both(monkeypatch, [a, x, rows], outputs, given)

    assert len(made) == 2
    same_bits(found, expected)


def test_threads_share_the_elements(monkeypatch, made):
    x, rows = sg.placeholder("float32", ("n",), name="x"), sg.placeholder("float32", ("t", "n"), name="rows")
    out = sg.scan(lambda c, r: (c * 0.5 + r, c - r), x, rows)
    rng = np.random.default_rng(0)
    for n in (63, 20_011):
        given = [rng.normal(size=n).astype("f4"), rng.normal(size=(100, n)).astype("f4")]
        one, expected = both(monkeypatch, [x, rows], list(out), given, threads=1)
        three = sg.function([x, rows], list(out), options=sg.Options(backend="llvm", threads=3))(*given)

        same_bits(one, expected)
        same_bits(three, expected)


def test_arrays_that_do_not_lie_in_order(monkeypatch, made):
    x, rows = (
        sg.placeholder("float64", ("n", "m"), name="x"),
        sg.placeholder("float64", ("t", "n", "m"), name="r"),
    )
    out = list(sg.scan(lambda c, r: (c * 0.5 + r, c * r), x, rows, reverse=True))
    rng = np.random.default_rng(0)
    for n, m in ((7, 5), (40, 3), (1, 9), (0, 3), (4, 1)):
        given = [rng.normal(size=(m, 2 * n)).T[::2], rng.normal(size=(m, 6, n)).transpose(1, 2, 0)[::-1]]
        found, expected = both(monkeypatch, [x, rows], out, given)

        same_bits(found, expected, f"{n}, {m}")
    assert made


def test_a_constant_of_the_body(monkeypatch, made):
    x = sg.placeholder("float64", (4,), name="x")
    factors = np.array([0.5, 1.0, 2.0, -1.0])
    found, expected = both(
        monkeypatch, [x], [sg.fori_loop(0, 9, lambda i, c: c * factors + 1, x)], [np.ones(4)]
    )

    assert made
    same_bits(found, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"bytes": 32, "masks": False},
        {"bytes": 16, "masks": False, "fma": False},
        {"bytes": 64, "masks": True},
    ],
)
def test_other_machines(monkeypatch, made, changes):
    if changes["bytes"] > host().bytes:
        pytest.skip("this processor has no such vectors")
    machine = replace(host(), **changes)
    for each in (native, native_carried, code_of_this_process):
        monkeypatch.setattr(each, "host", lambda: machine)
    for dtype in ("float32", "int64", "complex64", "bool"):
        x = sg.placeholder(dtype, ("n",), name="x")
        rows = sg.placeholder(dtype, ("t", "n"), name="rows")
        step = (lambda c, r: (c ^ r, c)) if dtype == "bool" else (lambda c, r: (c * r - c, c))
        out = list(sg.scan(step, x, rows))
        for n in (1, 9, 150):
            rng = np.random.default_rng(n)
            given = [rng.integers(0, 2, n).astype(dtype), rng.integers(0, 2, (12, n)).astype(dtype)]
            found, expected = both(monkeypatch, [x, rows], out, given)

            same_bits(found, expected, f"{dtype}[{n}]")
    assert made


def test_one_program_for_few_elements_and_for_many(monkeypatch):
    """Where there are some, what is stacked is quicker turn by turn."""
    x, rows = sg.placeholder("float64", ("n",), name="x"), sg.placeholder("float64", ("t", "n"), name="rows")
    out = list(sg.scan(lambda c, r: (c * 0.5 + r, c), x, rows))
    f = sg.function([x, rows], out, options=sg.Options(backend="llvm"))
    for n in (3, 500, 4, 0, 700, 3):
        given = [np.arange(n) * 1.0, np.arange(6 * n).reshape(6, n) * 0.25]
        for _ in range(4):
            for a, b in zip(f(*given), sg.evaluate(out, {x: given[0], rows: given[1]}), strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_loop_inside_of_a_loop_and_of_a_branch(monkeypatch, made):
    x, way = sg.placeholder("float64", (6,), name="x"), sg.placeholder("bool", (), name="way")

    def inner(i, c):
        return sg.fori_loop(0, 5, lambda j, d: d * 0.5 + i + j, c) + c.sum()

    out = sg.cond(
        way, lambda: sg.fori_loop(0, 7, inner, x), lambda: sg.fori_loop(0, 3, lambda i, c: c + i, x)
    )
    for choice in (True, False):
        found, expected = both(monkeypatch, [x, way], [out], [np.arange(6.0), np.asarray(choice)])

        same_bits(found, expected)
    assert len(made) >= 2


LONG = """
import signal, sys
import numpy as np
import symgraph as sg

size, calls = map(int, sys.argv[1:])
x = sg.placeholder("float64", (size,), name="x")
f = sg.function([x], sg.fori_loop(0, 10**14, lambda i, c: c * 0.5 + 1, x), options=sg.Options(backend="llvm"))
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began this may ignore it
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
for _ in range(calls):
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        f(np.zeros(size))
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
@pytest.mark.parametrize("size, calls", [(4, 1), (4, 4), (1_000_000, 1)])
def test_a_long_loop_is_interrupted(size, calls):
    command = [sys.executable, "-c", LONG, str(size), str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()

    assert done.returncode == 0, done.stderr
    assert calls * ["interrupted"] == lines  # docs/loops.md says how soon


# What is one kernel


def kernel_of(out, *args):
    made = plan.plan(graph(list(args), [out] if not isinstance(out, tuple) else list(out)))
    return carried(next(step for step in made.steps if isinstance(step, plan.Loop)))


KERNEL = """\
def kernel_0(_0_1: f32[n], _0_2: f32[turns, n], _captured_0: f32[n], *, out: f32[n], out_1: f32[turns, n]):
    for i in rows(n):
        v: f32 = _0_1[i]
        v3: f32 = _captured_0[i]
        for t in sweep(turns):
            v0: f32 = carry(v, v4)
            v1: f32 = _0_2[t, i]
            v2: f32 = multiply(v0, v1)
            v4: f32 = add(v2, v3)
            v5: f32 = subtract(v0, v1)
            out_1[t, i] = v5
        out[i] = v0
"""


def test_a_loop_is_a_sweep_over_its_turns():
    x, b = (sg.placeholder("float32", ("n",), name=name) for name in "xb")
    rows = sg.placeholder("float32", ("t", "n"), name="rows")
    found = kernel_of(sg.scan(lambda c, r: (c * r + b, c - r), x, rows), x, rows, b)

    assert KERNEL == str(found.loops)
    assert (0, 1, 2) == found.reads
    verify_loops(found.loops)
    assert found.loops == parse_loops(KERNEL)


@pytest.mark.parametrize(
    "body, why",
    [
        (lambda i, c: c / sg.sum(c), "a turn is not one kernel of elements"),
        (lambda i, c: c[::-1] * 2, "a turn is not one kernel of elements"),
        (lambda i, c: sg.matmul(c, c), "a turn is not one kernel of elements"),
        (lambda i, c: c.T * 2, "a turn reads other elements of a carry than it writes"),
    ],
)
def test_bodies_that_are_no_kernel_of_elements(body, why):
    x = sg.placeholder("float32", (4, 4), name="x")

    assert why == kernel_of(sg.fori_loop(0, 10, body, x), x)


def test_a_loop_with_a_condition_is_none():
    x = sg.placeholder("float32", (), name="x")

    assert "a condition ends it" == kernel_of(sg.while_loop(lambda c: c < 9, lambda c: c * 2, x), x)


# Text


CARRYING = """\
def powers(x: f32[n], *, out: f32[n], each: f32[turns, n]):
    for i in rows(n):
        v0: f32 = x[i]
        for t in sweep(turns):
            v1: f32 = carry(v0, v2)
            v2: f32 = multiply(v1, v0)
            each[t, i] = v2
        out[i] = v1
"""


def test_text_is_read_back():
    kernel = parse_loops(CARRYING)
    verify_loops(kernel)

    assert CARRYING == str(kernel)
    assert kernel == parse_loops(str(kernel))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("carry(v0, v2)", "carry(v0, v9)", "no value called 'v9'"),
        ("carry(v0, v2)", "carry(v2, v0)", "no value called 'v2'"),
        ("v2: f32 = mul", "v2: f64 = mul", "'v2' is f64, and carried as f32"),
    ],
)
def test_text_that_is_refused(old, new, message):
    with pytest.raises(ParseError) as raised:
        parse_loops(CARRYING.replace(old, new))

    assert message in str(raised.value)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("carry(v0, v2)", "carry(f64(1.0), v2)", "dtypes are float64 and float32"),
        ("each[t, i] = v2", "v4: f32 = carry(v2, v2)", "v2 is not known before the sweep"),
        ("multiply(v1, v0)", "reduce(sum, v0)", "or it reduces"),
        (
            "v3: f32 = add(v1, v1)",
            "for t in sweep(turns):\n            v3: f32 = negative(v1)",
            "there is another",
        ),
        ("v0: f32 = x[i]", "v0: f32 = carry(f32(0.0), f32(1.0))", "something is carried outside of a sweep"),
    ],
)
def test_carries_that_make_no_sense(old, new, message):
    kernel = CARRYING.replace("out[i] = v1", "v3: f32 = add(v1, v1)\n        out[i] = v3")
    verify_loops(parse_loops(kernel))

    with pytest.raises(VerifyError) as raised:
        verify_loops(parse_loops(kernel.replace(old, new)))

    assert message in str(raised.value)


def test_what_is_carried_on_is_made_in_the_sweep():
    kernel = parse_loops(CARRYING)
    load, sweep, store = kernel.body
    later = replace(sweep.body[0], after=Value("v3", FLOAT32))
    after = replace(sweep.body[1], target=later.after, args=(later.target, later.target))
    wrong = replace(kernel, body=(load, replace(sweep, body=(later, *sweep.body[1:])), after, store))

    with pytest.raises(VerifyError, match="no turn knows v3"):
        verify_loops(wrong)
