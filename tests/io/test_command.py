"""The command line on files of programs."""

import ml_dtypes
import numpy as np
import pytest

import symgraph as sg
from symgraph.cli import main


@pytest.fixture
def path(tmp_path, training):
    path = tmp_path / "digits.sg"
    sg.save(path, training)
    return str(path)


def test_show_tells_what_a_file_holds(path, capsys):
    assert 0 == main(["show", path])
    out = capsys.readouterr().out

    assert '@named("train step")' in out
    assert "# train\n# inputs     x: f32[batch, 4]\n#            t: i64[batch] = [0, 1]\n" in out
    assert "# outputs    loss: f32\n#            more.0: u32[2]\n#            more.2.0: f32\n" in out
    assert (
        "# variables  w: f32[4, 3]\n#            w_2: f32[3]\n#            noise: u32[2], not trainable\n"
        in out
    )
    assert "softmax" in out and "# cost  " in out
    assert 0 == main(["show", path, "--function", "predict"])
    assert "train" not in capsys.readouterr().out
    assert 1 == main(["show", path, "--function", "test"])
    assert "has no function 'test'; it has train, predict" in capsys.readouterr().err


def test_what_show_prints_is_read_again(path, tmp_path, capsys):
    main(["show", path, "--function", "predict"])
    text = capsys.readouterr().out
    copy = tmp_path / "copy.txt"
    copy.write_text(text)

    assert 0 == main(["show", str(copy)])
    assert "softmax" in capsys.readouterr().out
    assert 0 == main(["opt", str(copy)])
    assert 0 == main(["opt", path, "--function", "train"])


def test_run_reads_and_writes_arrays(path, tmp_path, images, training, capsys):
    given, taken = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(given, images)
    command = ["run", path, "--function", "predict", "--input", f"x={given}"]

    assert 0 == main([*command, "--output", f"output={taken}"])
    assert training["predict"](images).tobytes() == np.load(taken).tobytes()
    assert "" == capsys.readouterr().out
    assert 0 == main(command)
    assert capsys.readouterr().out.startswith("output: f32[batch, 3]\n[[")
    assert 0 == main(
        ["run", path, "--function", "train", "--input", f"x={given}", "--output", f"more.0={taken}"]
    )
    assert (2,) == np.load(taken).shape


def test_run_of_what_does_not_fit(path, tmp_path, images, capsys):
    given, odd = tmp_path / "x.npy", tmp_path / "odd.npy"
    np.save(given, images[:, :3])
    odd.write_bytes(b"\x80\x04K\x01.")
    for rest, fault in [
        ([], "has train, predict: name one with --function"),
        (["--function", "predict"], "was given no 'x'"),
        (["--function", "predict", "--input", f"z={given}"], "there is no input 'z'; there are x"),
        (["--function", "predict", "--input", f"x={given}", "--output", "y=y.npy"], "there is no output 'y'"),
        (["--function", "predict", "--input", f"x={given}"], "axis 1 is 3, not 4"),
        (["--function", "predict", "--input", f"x={odd}"], "it is no .npy file"),
        (["--function", "predict", "--input", "x=missing.npy"], "missing.npy"),
    ]:
        assert 1 == main(["run", path, *rest])
        assert fault in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", path, "--input", "x"])


def test_run_of_bfloat16(tmp_path, capsys):
    x = sg.placeholder("bfloat16", (2,), name="x")
    sg.function([x], x * 2).save(tmp_path / "f.sg")
    np.save(tmp_path / "x.npy", np.array([1, 2], ml_dtypes.bfloat16))

    assert 0 == main(["run", str(tmp_path / "f.sg"), "--input", f"x={tmp_path / 'x.npy'}"])
    assert "output: bf16[2]\n[2 4]\n" == capsys.readouterr().out


def test_diff_of_files(path, tmp_path, training, images, capsys):
    other = str(tmp_path / "other.sg")
    sg.save(other, training, lines=False)
    assert 0 == main(["diff", path, other])
    assert "" == capsys.readouterr().out

    training["train"](images)
    sg.save(other, training)
    assert 1 == main(["diff", path, other])
    out = capsys.readouterr().out
    assert "! variable w: 12 of 12 values differ, by " in out and "def" not in out

    x = sg.placeholder("float32", ("batch", 4), name="x")
    sg.save(other, {"predict": sg.function([x], sg.exp(x)), "new": sg.function([x], x)})
    assert 1 == main(["diff", path, other])
    out = capsys.readouterr().out
    assert "- function train" in out and "+ function new" in out and "+    v0: f32[batch, 4] = exp(x)" in out
    assert "- variable w: f32[4, 3]" in out


def test_diff_of_texts(tmp_path, capsys):
    for name, op in [("a", "exp"), ("b", "sin")]:
        (tmp_path / name).write_text(f"def f(x: f64, *, w: f64):\n    v0: f64 = {op}(x)\n    return v0, w\n")
    a, b = str(tmp_path / "a"), str(tmp_path / "b")

    assert 0 == main(["diff", a, a])
    assert 1 == main(["diff", a, b])
    assert "-    v0: f64 = exp(x)\n+    v0: f64 = sin(x)" in capsys.readouterr().out


def test_files_that_are_neither(tmp_path, capsys):
    odd = tmp_path / "odd"
    for content in (b"\xff\xfe", b"\x08\0\0\0\0\0\0\0{", b"PK\3\4\xff"):
        odd.write_bytes(content)
        assert 1 == main(["show", str(odd)])
        assert f"symgraph: {odd}: " in capsys.readouterr().err
