"""No collection while many nodes are made; the one that is due afterwards is of these alone."""

import gc
import sys
from types import ModuleType

import pytest

from symgraph.graph.collector import paused


@pytest.fixture
def seen():
    """The generations that were collected."""
    found = []

    def note(phase, info):
        if phase == "stop":
            found.append(info["generation"])

    was_enabled = gc.isenabled()
    gc.enable()
    gc.collect(0)  # so that none is about to come
    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)
    (gc.enable if was_enabled else gc.disable)()


def many():
    return [[] for _ in range(20 * gc.get_threshold()[0])]


def test_nothing_is_collected_inside(seen):
    with paused():
        with paused():
            made = many()
        made += many()
        assert [] == seen

    assert [0] == seen
    assert gc.isenabled()
    assert made


def test_it_is_of_the_youngest_though_older_ones_are_due(seen):
    while gc.get_count()[1] <= gc.get_threshold()[1]:
        gc.collect(0)
    seen.clear()
    with paused():
        made = many()

    assert [0] == seen
    assert made


@pytest.fixture
def imported(monkeypatch):
    """Imports something new, or so it seems."""
    return lambda: monkeypatch.setitem(sys.modules, "just_imported", ModuleType("just_imported"))


def test_what_is_there_is_old_where_modules_were_imported_inside(seen, imported):
    gc.collect(0)
    seen.clear()
    with paused():
        made = many()
        imported()

    assert [0] == seen
    assert any(x is made for x in gc.get_objects(generation=2))
    assert 0 == gc.get_freeze_count()


def test_what_was_frozen_stays_so_where_modules_were_imported_inside(seen, imported):
    gc.collect(0)
    seen.clear()
    gc.freeze()
    frozen = gc.get_freeze_count()
    with paused():
        made = many()
        imported()

    assert [0] == seen
    assert 0 < gc.get_freeze_count() <= frozen  # some of it is no longer needed
    assert made
    gc.unfreeze()


def test_nothing_is_collected_where_nothing_is_due(seen):
    gc.collect(0)
    seen.clear()
    with paused():
        pass

    assert [] == seen


def test_a_collector_that_is_off_stays_so(seen):
    gc.disable()
    with paused():
        made = many()

    assert [] == seen
    assert not gc.isenabled()
    assert made


def test_an_error_inside_ends_the_pause(seen):
    with pytest.raises(ValueError), paused():
        raise ValueError

    assert gc.isenabled()
