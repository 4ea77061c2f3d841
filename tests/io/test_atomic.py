"""A file that is written is there as a whole or not at all."""

import os
import subprocess
import sys

import pytest

import symgraph as sg
from symgraph.io import atomic

KILLED = """
import os, random, signal, sys, time
from symgraph.io import atomic
path, count = sys.argv[1], int(sys.argv[2])
contents = [bytes([n]) * 400_000 for n in range(2)]
start = time.perf_counter()
for _ in range(5):
    atomic.write(path, [contents[0]])
longest = 3 * (time.perf_counter() - start) / 5
draw, torn, seen = random.Random(0), 0, set()
for _ in range(count):
    child = os.fork()
    if child == 0:
        n = 1
        while True:
            atomic.write(path, [contents[n % 2][i : i + 50_000] for i in range(0, 400_000, 50_000)])
            n += 1
    time.sleep(draw.random() * longest)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(path, "rb") as file:
        found = file.read()
    torn += found not in contents
    seen.add(found[:1])
    if len(seen) == 1:  # the machine is busy: none was written to its end yet
        longest = min(1.1 * longest, 1.0)
print(torn, len(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_time_leaves_the_old_file_or_the_new_one(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "file"), "200"]

    assert "0 2\n" == subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("call", ["fsync", "replace", "open", "urandom"])
def test_an_error_at_any_step_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    if call == "open":
        monkeypatch.setattr("builtins.open", fail)
    else:
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(sg.FileError, match="file: cannot be written: No space left"):
        atomic.write(path, [b"new"])
    monkeypatch.undo()

    assert b"old" == path.read_bytes()
    assert ["file"] == os.listdir(tmp_path)


def test_an_interrupt_between_parts_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def parts():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.write(path, parts())

    assert b"old" == path.read_bytes()
    assert ["file"] == os.listdir(tmp_path)


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(sg.FileError, match="cannot be written: No such file"):
        atomic.write(tmp_path / "no" / "file", [b""])
    with pytest.raises(sg.FileError, match="it is a folder"):
        atomic.write(tmp_path, [b""])
    with pytest.raises(sg.FileError, match="embedded null"):
        atomic.write(f"{tmp_path}/a\0b", [b""])


def test_a_link_goes_on_leading_to_the_file_whose_rights_stay(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)

    atomic.write(link, [b"n", b"ew"])

    assert link.is_symlink()
    assert b"new" == path.read_bytes()
    assert 0o640 == path.stat().st_mode & 0o777


def test_what_was_left_long_ago_goes(tmp_path):
    old, new = tmp_path / ".symgraph-0123.new", tmp_path / ".symgraph-4567.new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1.0, 1.0))

    atomic.write(tmp_path / "file", [b"whole"])

    assert {"file", new.name} == set(os.listdir(tmp_path))
