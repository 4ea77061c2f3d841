"""Who reads what, while a program is rewritten."""

import symgraph as sg
from symgraph.optimizations.uses import Uses


def test_readers_of_what_has_become_something_else_already():
    """A node is replaced by one that has made place before: what reads it reads what that has become."""
    x = sg.placeholder("float64", ("n",), name="x")
    before, between, after = sg.sin(x), sg.exp(x), sg.tanh(x)
    becomes = {}
    uses = Uses([sg.cos(before), sg.abs(after)], becomes)
    assert uses.once(after)

    becomes[between] = after
    becomes[before] = between
    uses.replaced(before, between)

    assert not uses.once(before)
    assert not uses.once(after)
