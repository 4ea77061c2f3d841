"""Session: fetches, feeds, and variables of its own."""

import numpy as np
import pytest

import symgraph as sg


@pytest.fixture
def x():
    return sg.placeholder("float64", (), name="x")


def test_fetches_of_every_structure(x):
    with sg.Session() as session:
        result = session.run({"a": [x + 1, None], "b": (x, sg.group())}, {x: 1.0})

    assert {"a": [2.0, None], "b": (1.0, None)} == result


def test_sessions_have_their_own_variables(x):
    w = sg.variable(0.0, name="w")
    train = sg.assign_add(w, x)
    with sg.Session() as one, sg.Session() as two:
        one.run(train, {x: 1.0})
        two.run(train, {x: 5.0})

        assert (1.0, 5.0, 0.0) == (one.run(w), two.run(w), w.value)


def test_an_assignment_gives_the_new_value(x):
    w = sg.variable(1.0, name="w")
    with sg.Session() as session:
        new, old = session.run([sg.assign(w, w + x), w], {x: 2.0})

        assert (3.0, 1.0) == (new, old)
        assert 3.0 == session.run(w)


def test_assignments_of_one_run_see_the_values_from_before():
    a, b = sg.variable(1.0, name="a"), sg.variable(2.0, name="b")
    with sg.Session() as session:
        session.run(sg.group(sg.assign(a, b), sg.assign(b, a)))

        assert [2.0, 1.0] == session.run([a, b])


def test_the_same_assignment_twice_is_one():
    w = sg.variable(0.0, name="w")
    step = sg.assign_add(w, 1.0)
    with sg.Session() as session:
        session.run([step, step, sg.group(step)])

        assert 1.0 == session.run(w)


def test_any_node_can_be_fed_and_its_producers_do_not_run(x):
    broken = sg.placeholder("float64", (3,), name="broken")[sg.placeholder("int64", (), name="i")]
    y = sg.exp(broken) + x
    with sg.Session() as session:
        assert 3.0 == session.run(y, {sg.exp(broken): 1.0, x: 2.0})


def test_a_variable_can_be_fed():
    w = sg.variable(1.0, name="w")
    with sg.Session() as session:
        assert 20.0 == session.run(w * 2, {w: 10.0})
        assert 1.0 == session.run(w)


def test_a_feed_that_nothing_needs_is_taken(x):
    y = sg.placeholder("float64", (), name="y")
    with sg.Session() as session:
        assert 2.0 == session.run(x * 2, {x: 1.0, y: 5.0})


def test_a_failed_run_changes_nothing():
    i = sg.placeholder("int64", (), name="i")
    w, v = sg.variable(0.0, name="w"), sg.variable(np.zeros(2), name="v")
    with sg.Session() as session:
        with pytest.raises(IndexError):
            session.run([sg.assign_add(w, 1.0), v[i]], {i: 9})

        assert 0.0 == session.run(w)


def test_make_callable(x):
    y = sg.placeholder("float64", (), name="y")
    with sg.Session() as session:
        f = session.make_callable({"difference": x - y}, [x, y])

        assert {"difference": -1.0} == f(1.0, 2.0)
        with pytest.raises(sg.ArgumentError, match="takes 2 values"):
            f(1.0)


def test_results_are_the_callers_own():
    w = sg.variable(np.zeros(2), name="w")
    with sg.Session() as session:
        session.run(w)[0] = 5
        a, b = session.run([w, w])
        a[0] = 7

        assert [0.0, 0.0] == b.tolist()
        assert [0.0, 0.0] == session.run(w).tolist()


def test_a_loop_of_runs_does_not_grow(x):
    with sg.Session() as session:
        for i in range(300):
            session.run(x + float(i), {x: 1.0})

        assert len(session._programs) <= 256


def test_a_closed_session_runs_nothing():
    w = sg.variable(0.0, name="w")
    with sg.Session() as session:
        f = session.make_callable(w)
    for call in (lambda: session.run(w), f):
        with pytest.raises(sg.GraphError, match="closed"):
            call()


def test_eval(x):
    w = sg.variable(2.0, name="w")

    assert 6.0 == (x * w).eval({x: 3.0})
    assert 10.0 == (sg.exp(x) * w).eval({sg.exp(x): 5.0})
