"""The cache of compiled code: what is damaged is not there, what is old goes, many processes share it."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from symgraph.runtime.cache import Cache, folder


def files_of(place):
    return sorted(path for path in place.glob("*/*") if path.is_file())


def test_what_was_put_is_there_for_the_next_process(tmp_path):
    Cache(tmp_path).put("key", b"code")

    assert Cache(tmp_path).get("key") == b"code"
    assert Cache(tmp_path).get("another key") is None


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 200])
def test_a_damaged_entry_is_not_there_and_goes(tmp_path, damage):
    cache = Cache(tmp_path)
    cache.put("key", b"code" * 50)
    (path,) = files_of(tmp_path)
    path.write_bytes(damage)

    assert cache.get("key") is None
    assert not files_of(tmp_path)
    cache.put("key", b"code")
    assert cache.get("key") == b"code"


def test_one_bit_that_turned_is_seen(tmp_path):
    cache = Cache(tmp_path)
    cache.put("key", bytes(1000))
    (path,) = files_of(tmp_path)
    content = bytearray(path.read_bytes())
    content[700] ^= 4
    path.write_bytes(content)

    assert cache.get("key") is None


def test_what_was_not_used_for_longest_goes(tmp_path):
    cache = Cache(tmp_path, limit=100_000)
    for n in range(400):
        cache.put(f"key {n}", bytes(1000))
        path = cache._path(f"key {n}")
        os.utime(path, (n, n))
    cache._evict()
    left = [n for n in range(400) if cache.get(f"key {n}") is not None]

    assert left
    assert left == list(range(400 - len(left), 400))
    assert sum(path.stat().st_size for path in files_of(tmp_path)) <= 75_000


def test_writing_keeps_it_within_twice_the_limit(tmp_path):
    cache = Cache(tmp_path, limit=50_000)
    for n in range(600):
        cache.put(f"key {n}", bytes(1000))

    assert sum(path.stat().st_size for path in files_of(tmp_path)) < 250_000


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="a folder that root cannot write there is not"
)
def test_a_folder_that_takes_nothing_is_no_error(tmp_path):
    tmp_path.chmod(0o500)
    cache = Cache(tmp_path)
    cache.put("key", b"code")

    assert cache.get("key") is None


def test_a_file_in_the_folders_place_is_no_error(tmp_path):
    place = tmp_path / "file"
    place.write_text("not a folder")
    cache = Cache(place)
    cache.put("key", b"code")

    assert cache.get("key") is None
    assert place.read_text() == "not a folder"


def test_the_variable_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path))
    assert folder() == tmp_path
    monkeypatch.setenv("SYMGRAPH_CACHE", "")
    assert folder() is None
    Cache(None).put("key", b"code")
    assert Cache(None).get("key") is None


WRITER = """
    import sys
    from pathlib import Path
    from symgraph.runtime.cache import Cache
    cache = Cache(Path(sys.argv[1]), limit=400_000)
    print("on", flush=True)
    n = 0
    while True:
        n = (n * 5 + 3) % 97
        found = cache.get(f"key {n}")
        assert found in (None, bytes([n]) * (1000 + 100 * n)), n
        cache.put(f"key {n}", bytes([n]) * (1000 + 100 * n))
"""


def test_processes_that_are_killed_at_any_time_leave_nothing_wrong(tmp_path):
    rng = random.Random(0)
    script = textwrap.dedent(WRITER)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(64)
    ]
    try:
        for process in running:
            assert process.stdout.readline() == b"on\n"
        for process in rng.sample(running, len(running)):
            time.sleep(rng.random() / 50)
            process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    finally:
        for process in running:
            process.kill()
            _, errors = process.communicate()
            assert b"AssertionError" not in errors
    cache = Cache(tmp_path)

    assert any(cache.get(f"key {n}") for n in range(97))
    for n in range(97):
        assert cache.get(f"key {n}") in (None, bytes([n]) * (1000 + 100 * n))
