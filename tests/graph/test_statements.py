"""Where statements begin and end, and that what Python's parser is given of a text has bounds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from symgraph.errors import ParseError, ShapeError
from symgraph.graph.op import placeholder
from symgraph.graph.origin import Origin
from symgraph.graph.parse import parse
from symgraph.graph.size_steps import LEAST_STEPS, Budget
from symgraph.graph.statements import DEEPEST_BRACKETS, MOST_TOKENS, statements, unix_lines
from symgraph.graph.text import show
from symgraph.ops import control  # noqa: F401, which declares branch


def texts(text):
    return [(each.line, each.column, each.text) for each in statements(text)]


def body(*lines, head="def main(x: f32[n]):", result="x"):
    return "\n".join([head, *(f"    {line}" for line in lines), f"    return {result}\n"])


# Where statements end


@pytest.mark.parametrize(
    "expected, text",
    [
        ([], ""),
        ([], "\n  \n\t# none\n\f\n"),
        ([(1, 0, "a"), (2, 0, "b")], "a\nb"),
        ([(1, 0, "a  # (")], "a  # (\n"),
        ([(2, 4, "a = (  # (\n1,\n\n# )\n 2)"), (7, 0, "b")], "\n    a = (  # (\n1,\n\n# )\n 2)\nb"),
        ([(1, 0, "a \\\n  b"), (3, 0, "c")], "a \\\n  b\nc"),
        ([(1, 0, "'(' '''\n)''' \"\\\"\" (\n)"), (4, 0, "b")], "'(' '''\n)''' \"\\\"\" (\n)\nb"),
        ([(1, 0, "a"), (1, 3, "b  # c")], "a; b  # c"),
        ([(1, 0, "a"), (1, 3, "b  "), (2, 0, "c")], "a; b  ;  # c\nc"),
        ([(1, 0, "a(\n)"), (2, 3, "b")], "a(\n); b"),
        ([(1, 0, ";")], ";"),
        ([(1, 0, "def f(): a; b"), (2, 0, "c")], "def f(): a; b\nc"),
        ([(1, 0, "a(\nb\n")], "a(\nb\n"),
        ([(1, 0, "a'b"), (2, 0, "c")], "a'b\nc"),
        ([(1, 0, "a)("), (2, 0, "c")], "a)(\nc"),
    ],
)
def test_where_statements_end(expected, text):
    assert expected == texts(text)


def test_a_block_is_told_by_what_it_is_indented_by():
    found = list(statements("a\n \tb\n  \f\n \t  c\n\f  d"))

    assert ["", " \t", " \t  ", "  "] == [each.indent for each in found]
    assert found[0].is_above(found[1]) and found[1].is_above(found[2]) and not found[1].is_above(found[3])


def test_lines_end_as_python_ends_them():
    assert "a\nb\n\nc" == unix_lines("a\r\nb\r\rc")


@pytest.mark.parametrize(
    "text",
    [
        "\n# a\ndef main(x: f32[n]):\n\n    # b\n    v0: f32[n] = exp(x)\n  # c\n    return v0\n\n",
        "def main(\n    x: f32[n],  # a\n\n):\n    v0: f32[n] = exp(\n  x,\n    )\n    return (\nv0)",
        "def main(x: f32[n]):\n\tv0: f32[n] = exp(x)\n\treturn v0",
        "def main(x: f32[n]):\r\n  v0: f32[n] = exp(x)\r  return v0\r\n",
        "def main(x: f32[n]):\n \f   v0: f32[n] = exp(x)\n   return v0",
        "def main(x: f32[n]):\n    v0: f32[n] = \\\n  exp(x)\n    return \\\n  v0",
        "def main(x: f32[n]):\n    v0: f32[n] = exp(x); return v0  # a",
        "def main(x: f32[n]): v0: f32[n] = exp(x); return v0",
        "def main(x: f32[n]):\n    v0: f32[n] = (exp)((x))\n    return (v0)",
        "def main(x: f32[n]):\n    \\\nv0: f32[n] = exp(x)\n    return v0",
        "def main(x: f32[n]):\n\\\n    v0: f32[n] = exp(x) \\\n\n    return v0 \\\n\n",
        "@named('''main''')\n# a\n\ndef other(x: f32[n]):\n    v0: f32[n] = exp(x)\n    return v0",
        "@named(u'ma' r'in')\ndef main(x: f32[n]):\n    v0: f32[n] = exp(x)\n    return v0",
    ],
)
def test_a_program_may_be_written_in_other_ways(text):
    plain = parse("def main(x: f32[n]):\n    v0: f32[n] = exp(x)\n    return v0\n")

    assert plain is parse(text)


def test_a_graph_may_have_no_name():
    made = parse("@named('')\ndef main(x: f32[n]):\n    return x\n")

    assert made.name == "" and parse(show(made)) is made


def test_functions_inside_functions_may_be_written_in_other_ways():
    head = "def main(i: i64, x: f32[n]):\n"
    tail = "    v0: (f32[n],) = branch(i, x, branches=(a, b))\n    return v0[0]\n"
    plain = parse(
        f"{head}    def a(x: f32[n]):\n        return x\n"
        f"    def b(x: f32[n]):\n        v0: f32[n] = exp(x)\n        return v0\n{tail}"
    )
    other = parse(
        f"{head}    @named('a')\n    def a(x: f32[n]): return x\n\n"
        f"    def b(\n x: f32[n]\n):\n # c\n      v0: f32[n] = exp(x)\n      return v0\n{tail}"
    )

    assert plain is other


# Faults, and where they are


@pytest.mark.parametrize(
    "line, column, message, text",
    [
        (3, 11, "no value called 'z'", "def main(\n    x: f32[n],\n): return z"),
        (4, 7, "no value called 'z'", "def main(x: f32[n]):\n    v0: f32[n] = add(\n  x,\n      z)\n    return v0"),
        (3, 31, "no op called 'exq'", "def main(x: f32):\n\n    v: f32 = exp(x); w: f32 = exq(v)\n    return v"),
        (3, 9, "unexpected indent", "def main(x: f32[n]):\n    v: f32[n] = exp(x)\n        return v"),
        (4, 3, "unindent does not match", "def main(x: f32[n]):\n    v: f32[n] = exp(x)\n\n  return v"),
        (1, 2, "unexpected indent", " def main(x: f32[n]):\n    return x"),
        (2, 13, "expected an indented block after function definition on line 2", "def f():\n    def g():\n    0"),
        (3, 5, "the last statement must be a return", "def main():\n    def f(): return ()\n    def g(): return ()"),
        (2, 1, "a program is one function", "def main(): return ()\nmain()"),
        (3, 1, "a program is one function", "def main():\n    return ()\ndef main(): return ()"),
        (2, 17, "'(' was never closed", "def main(x: f32):\n    v: f32 = exp(x"),
        (2, 5, "above a function stands nothing but", "def main():\n    @named('a')\n    @named('b')\n    def f(): 0"),
        (3, 5, "above a function stands nothing but", "def main():\n    @named('a')\n    return ()"),
        (2, 19, "a function begins on a line of its own", "def main():\n    update(w, w); def f(): 0\n    return ()"),
        (2, 5, "a string has nothing before its quotes", "def main(x: f32):\n    v: f32 = exp(f'{x}')\n    return v"),
        (2, None, "null bytes", "def main(x: f32):\n    v: f32 = exp(\0)\n    return v"),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_is(line, column, message, text):
    with pytest.raises(ParseError) as caught:
        parse(text)

    assert message in str(caught.value)
    assert (line, column) == (caught.value.line, caught.value.column)


def test_a_name_of_a_file_is_no_file(tmp_path):
    """A text says lines of a program, whose files are not opened to quote them."""
    path = tmp_path / "secret.py"
    path.write_text("password = 1\n")
    (node,) = parse(f"def main(x: f32[373]):\n    v: f32[373] = exp(x)  # {path}:1\n    return v").outputs

    with pytest.raises(ShapeError) as caught:
        node + placeholder("float32", (374,))
    assert Origin(str(path), 1) == node.origin
    assert "secret.py:1" in str(caught.value)
    assert "password" not in str(caught.value)


# Bounds


def test_a_statement_has_bounds():
    long = f"v: f32 = pack({'x,' * (MOST_TOKENS // 2)})"
    deep = f"v: f32 = {'(' * DEEPEST_BRACKETS}({'x'}){')' * DEEPEST_BRACKETS}"

    with pytest.raises(ParseError, match=f"line 2, column 5: a statement has more than {MOST_TOKENS} words"):
        parse(body(long))
    with pytest.raises(ParseError, match="is its bracket closed"):
        parse(body(f"v: f32 = exp({'x,' * 100}", *["v: f32[n] = exp(x)"] * 20_000))
    with pytest.raises(ParseError, match=f"more than {DEEPEST_BRACKETS} brackets"):
        parse(body(deep))
    with pytest.raises(ParseError, match="functions are nested more than 99 times"):
        parse("".join(" " * i + "def f():\n" for i in range(200)))


def test_pythons_parser_is_given_one_statement_at_a_time(monkeypatch):
    given = []
    plain = ast.parse

    def spy(source, *rest, **more):
        given.append(len(source))
        return plain(source, *rest, **more)

    text = body(*(f"v{i}: f32[n] = exp({f'v{i - 1}' if i else 'x'})" for i in range(300)), result="v299")
    monkeypatch.setattr(ast, "parse", spy)
    made = parse(text)

    assert text == show(made, origins=False)
    assert 302 == len(given)
    assert 60 > max(given)


def test_a_graph_that_is_held_twice_at_every_level_is_looked_at_once():
    levels = range(60)
    lines = ["def main(i: i64, x: f32[n]):"]
    lines += [" " * (i + 1) + "def b(i: i64, x: f32[n]):" for i in levels]
    lines += [" " * 61 + "return x"]
    for i in reversed(levels):
        lines += [
            " " * (i + 1) + "v: (f32[n],) = branch(i, i, x, branches=(b, b, b))",
            " " * (i + 1) + "return v[0]",
        ]
    made = parse("\n".join(lines))

    assert 2 == len(made.inputs)


# Sizes


NAMES = [f"n{i}" for i in range(60)]
SIZES = {
    "a product": "*".join(f"({name} + 1)" for name in NAMES),
    "a factor": f"({' + '.join(NAMES)}){'*1' * 900}*({' + '.join(NAMES)})" + "*1" * 900,
    "a choice": " + ".join([f"max({', '.join(NAMES)})"] * 40),
    "a choice of choices": f"{'max(' * 40}{', '.join(NAMES)}{', 1)' * 40}",
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("line", ["v: i64 = size_value(size={})", "v: f32[{}] = exp(x)"])
def test_sizes_that_would_take_long_are_refused(size, line):
    head = f"def main(x: f32[{', '.join(NAMES)}]):"

    with pytest.raises(ParseError, match=r"line 2, .* the sizes of the text take too long to compute"):
        parse(body(line.format(size), head=head))


def test_the_budget_of_sizes_grows_with_the_text():
    size = ast.parse("max((n + 2)//3 - 1, 2*m*k + 1, 0) + broadcast(a, b)", mode="eval").body
    budget = Budget.of("x" * 1000)
    budget.spend(size)

    assert LEAST_STEPS + 500 - 60 < budget.left < LEAST_STEPS + 500


# Memory

HOSTILE = '''
import resource, sys
from symgraph.errors import ParseError
from symgraph.graph.parse import parse
import symgraph.ops.arithmetic

N = 1_000_000
START = "def main(x: f32):\\n    "
def many(line, head=START):
    return head + "\\n    ".join(line(i) for i in range(N // len(line(9999))))
TEXTS = {
    "commas": START + "return " + "x," * (N // 2),
    "commas in lines": many(lambda i: f"v{i}: f32 = pack({'x,' * 20_000}x)"),
    "elements": START + f"v: f32 = sum(x, axes=({'0,' * 74_000}))",
    "semicolons": START + "x;" * (N // 2),
    "statements in one line": START + ";".join(f"v{i}: f32 = exp(x)" for i in range(50_000)),
    "brackets": "(" * N,
    "lines": "\\n" * N,
    "blanks": START + "v: f32 = exp(x)  # " + " " * N,
    "an int": START + "return x[0x" + "f" * N + "]",
    "an int as an attribute": START + "v: f32 = sum(x, axes=(0x" + "f" * N + ",))",
    "an int that is updated": START + "update(0x" + "f" * N + ", x)",
    "a decimal": START + "return i64(" + "9" * N + ")",
    "a name": START + "v: f32 = exp(" + "a" * N + ")",
    "a name of an op": START + "v: f32 = " + "a" * N + "(x)",
    "fields": START + "v: f32 = exp(x" + "{0}" * (N // 3) + ")",
    "a string of fields": START + "v: f32 = exp(f'" + "{0}" * (N // 3) + "')",
    "strings": START + "v: f32 = exp(" + "'' " * (N // 3) + ")",
    "a text of lines": START + "v: f32 = exp(\\'\\'\\'" + "a\\n" * (N // 2) + "\\'\\'\\')",
    "a string without an end": START + '"""' + "a\\n" * (N // 2),
    "signs": START + "return " + "-" * N + "x",
    "lambdas": START + "return " + "lambda:" * (N // 7) + "x",
    "attributes": START + "return x" + ".a" * 70_000,
    "axes": "def main(x: f32[" + "n," * 70_000 + "]): return x",
    "parameters": "def main(" + ",".join(f"a{i}:f32" for i in range(110_000)) + "): return ()",
    "heads": "".join(" " * i + "def f(" + ",".join(f"x{j}:f32[n{j}]" for j in range(700)) + "):\\n" for i in range(90)),
    "a message": START + "v: f32 = pack(" + "x," * 70_000 + ")",
    "a product": "def main(x: f32[" + "*".join(f"(a{i}+b{i})" for i in range(N // 20)) + "]): return x",
    "functions": many(lambda i: f"def f{i}(x: f32): return x"),
}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 20 if sys.platform == "darwin" else 1 << 10)
before = peak()
for name, text in TEXTS.items():
    try:
        parse(text)
        found = "a graph"
    except ParseError as error:
        assert len(str(error)) < 5000, name
        found = "ParseError"
    print(found, peak() - before, name, sep="\\t")
'''


def test_hostile_texts_take_bounded_memory():
    pytest.importorskip("resource")
    run = subprocess.run(
        [sys.executable, "-c", HOSTILE],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    rows = [line.split("\t") for line in run.stdout.splitlines()]

    assert 28 == len(rows)
    assert not [name for found, _, name in rows if found != "ParseError"]
    assert not [(name, megabytes) for _, megabytes, name in rows if int(megabytes) >= 100]


def test_a_long_program_takes_little_more_memory_than_its_nodes():
    script = (
        "import tracemalloc, symgraph.ops.transcendental\nfrom symgraph.graph.parse import parse\n"
        "lines = [f'    v{i + 1}: f32[n] = exp(v{i})\\n' for i in range(5_000)]\n"
        "text = 'def main(v0: f32[n]):\\n' + ''.join(lines) + '    return v5000\\n'\n"
        "tracemalloc.start()\nmade = parse(text)\nprint(tracemalloc.get_traced_memory()[1] / len(text))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert 60 > float(run.stdout)
