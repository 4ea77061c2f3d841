"""The command line, run as a user runs it."""

from pathlib import Path

import pytest

import symgraph as sg
from symgraph.cli import main
from symgraph.debug.reference import operations, ops_page
from symgraph.debug.rulebook import rules_page

ROOT = Path(__file__).parent.parent


def test_ops_lists_every_op_with_signature_and_summary(capsys):
    assert 0 == main(["ops"])
    lines = capsys.readouterr().out.splitlines()

    listed = {line.split("(")[0].split()[0]: line for line in lines if line.startswith("  ")}
    for name, function in operations().items():
        assert function.summary in listed[name] or f"the same as {function.name}" in listed[name]


def test_ops_shows_one(capsys):
    assert 0 == main(["ops", "softplus"])
    assert capsys.readouterr().out.startswith("softplus(x)\n")


def test_ops_of_no_such_name(capsys):
    assert 1 == main(["ops", "sofplus"])
    assert "no op called sofplus" in capsys.readouterr().err


def test_the_reference_page_is_up_to_date():
    assert ops_page() == (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")


def test_show_reads_checks_and_prints(tmp_path, capsys):
    x = sg.placeholder("float32", ("n",), name="x")
    f = sg.function([x], sg.softmax(x * 2))
    path = tmp_path / "f.txt"
    path.write_text(f.show())

    assert 0 == main(["show", str(path)])
    assert "softmax" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["def main(x: f32[n]):\n    return y\n", "", "\0", "import os"])
def test_show_of_a_broken_file(tmp_path, capsys, text):
    path = tmp_path / "broken.txt"
    path.write_text(text)

    assert 1 == main(["show", str(path)])
    assert capsys.readouterr().err.startswith("symgraph: ")


def test_opt_prints_what_the_passes_leave_and_why(tmp_path, capsys):
    x = sg.placeholder("float32", ("n",), name="x")
    path = tmp_path / "f.sg"
    path.write_text(sg.function([x], sg.log(1 + sg.exp(x)) + 0.0).show())

    assert 0 == main(["opt", str(path), "--why", "--fast-math"])
    out = capsys.readouterr().out
    assert "log of 1 + exp" in out and "true of real numbers alone:\n  plus zero" in out
    assert "v0: f32[n] = softplus(x)" in out and "add(" not in out
    assert 0 == main(["opt", str(path), "--passes", "simplify"])
    assert "log(" in capsys.readouterr().out
    assert 1 == main(["opt", str(path), "--passes", "magic"])
    assert "there is no pass 'magic'; the passes are inline, simplify, stabilize" in capsys.readouterr().err


def test_the_page_of_rules_is_up_to_date(capsys):
    assert 0 == main(["rules"])
    assert "log of 1 + exp" in capsys.readouterr().out
    assert rules_page() == (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_show_of_no_file(capsys):
    assert 1 == main(["show", "no/such/file"])
    assert "no/such/file" in capsys.readouterr().err


def test_doctor_names_versions_and_what_is_missing(capsys):
    assert 0 == main(["doctor"])
    out = capsys.readouterr().out

    assert sg.__version__ in out
    assert "numpy" in out
    assert "cupy" in out
    assert "kernels     machine code for " in out or "kernels     loops of NumPy calls" in out
    assert "cuda        " in out
    assert "cuda-sim    " in out
    assert "SYMGRAPH_CACHE" in out


def test_a_wrong_command_line_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["dem"])
    assert 2 == stop.value.code
