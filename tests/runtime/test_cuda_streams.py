"""The device "cuda" with no GPU: streams, threads, and graphs of launches that are replayed."""

import threading

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import OutOfBoundsError
from symgraph.runtime import emulator
from tests.runtime.cuda_programs import arrays, check, program, v, x, y
from tests.runtime.cupy_stand_in import Function, Stream

pytestmark = [
    pytest.mark.cuda_text,
    pytest.mark.skipif(not emulator.available(), reason="there is no C++ compiler"),
]


# Streams and threads


def test_streams_have_arenas_of_their_own(device):
    function, made = program(device, [x], [sg.sum(sg.softmax(x) * 2, axis=0)])
    given = arrays((8, 9), (8, 9))
    made.run(given[:1])
    streams = [Stream(non_blocking=True) for _ in given]
    found = []
    for stream, each in zip(streams, given, strict=True):
        with stream:
            found += made.on_device([each])

    assert all(len(stream.waiting) > 2 for stream in streams)
    while any(stream.waiting for stream in streams):
        for stream in streams:
            stream.waiting.pop(0)()
    for stream, each, result in zip(streams, given, found, strict=True):
        np.testing.assert_allclose(result.get(stream), *function(each), rtol=1e-4)


def test_threads(device):
    function, made = program(device, [x], [sg.softmax(x), sg.sum(sg.exp(x), axis=0)])
    wrong = []

    def work(seed):
        given = np.random.default_rng(seed).normal(size=(9, 20)).astype("float32")
        stream = Stream(non_blocking=True)
        with device.current(), stream:
            for _ in range(3):
                for ours, want in zip(made.run([given]), function(given), strict=True):
                    if not np.allclose(ours, want, rtol=1e-5):
                        wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


# Graphs


def test_a_call_is_replayed_where_its_arrays_lie_again(device):
    function, made = program(device, [x], [sg.softmax(x), sg.sum(sg.exp(x), axis=0)], replays=True)
    there = [device.to(each) for each in arrays((9, 20), (9, 20))]
    expected = [function(each.get()) for each in there]
    counts = []
    for turn in range(8):
        before = Function.launched
        found = made.on_device([there[turn % 2]])
        counts.append(Function.launched - before)
        for ours, want in zip(found, expected[turn % 2], strict=True):
            np.testing.assert_allclose(ours.get(), want, rtol=1e-5)
        del found, ours

    assert counts[0] > 0
    assert [0] * 4 == counts[4:], "a graph is one launch of its own"


def test_a_replay_reads_what_is_there_now(device):
    function, made = program(device, [x], [sg.softmax(x)], replays=True)
    first, second = arrays((9, 20), (9, 20))
    there = device.to(first)
    for _ in range(3):
        made.on_device([there])
    there[...] = device.to(second)

    (found,) = made.on_device([there])
    np.testing.assert_allclose(found.get(), *function(second), rtol=1e-5)


def test_a_replay_never_writes_over_a_result_that_somebody_has(device):
    _, made = program(device, [x], [sg.softmax(x)], replays=True)
    there = device.to(arrays((9, 20))[0])
    kept = [made.on_device([there])[0] for _ in range(6)]
    part = made.on_device([there])[0][1:]  # a view holds on to it as well

    assert 6 == len({each.data.ptr for each in kept})
    assert part.base.data.ptr not in {made.on_device([there])[0].data.ptr}


def test_a_replay_tells_of_an_index_out_of_bounds(device):
    i = sg.placeholder("int64", ("j",), name="i")
    function, made = program(device, [v, i], [sg.exp(v)[i] * 2], replays=True)
    (given,) = arrays((4,))
    there, places = device.to(given), device.to(np.array([1, 0]))
    for last in (3, 2, -1, 4, 1, -5, 0):
        places[...] = device.to(np.array([1, last]))
        if -4 <= last < 4:
            (found,) = made.on_device([there, places])
            np.testing.assert_allclose(found.get(), *function(given, np.array([1, last])), rtol=1e-6)
            del found
        else:
            with pytest.raises(OutOfBoundsError, match=f"index {last} is out of bounds"):
                made.on_device([there, places])


def test_what_is_not_launches_alone_is_not_replayed(device):
    made = check(
        device, [x, y], [sg.tanh(sg.exp(x) @ y) + 1, x], *arrays((5, 6), (6, 4)), exact=False, replays=True
    )
    given = [device.to(each) for each in arrays((5, 6), (6, 4))]

    for _ in range(3):
        before = Function.launched
        made.on_device(given)
        assert Function.launched > before
