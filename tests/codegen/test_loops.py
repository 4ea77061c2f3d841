"""What the loops of kernels have in common, and what is kept with them."""

import gc

import symgraph as sg
from symgraph.codegen.loops import common, of_form, statements
from symgraph.codegen.lower import lower
from symgraph.graph.graph import graph
from symgraph.optimizations.plan import plan


def loops_of(name, op=sg.exp, dtype="float32", factor=2.0):
    x = sg.placeholder(dtype, ("n",), name=name)
    (kernel,) = plan(graph([x], [op(x * factor)])).kernels
    return lower(kernel)


def test_kernels_that_differ_in_names_and_lines_have_all_in_common():
    one, other = loops_of("x"), loops_of("y")

    assert one != other
    assert common(one) is common(other)


def test_kernels_of_other_ops_dtypes_or_numbers_have_nothing_in_common():
    one = loops_of("x")

    assert common(one) is not common(loops_of("x", op=sg.sin))
    assert common(one) is not common(loops_of("x", dtype="float64"))
    assert common(one) is not common(loops_of("x", factor=3.0))
    assert common(loops_of("x", factor=0.0)) is not common(loops_of("x", factor=-0.0))


def test_what_is_kept_for_kernels_dies_with_the_last_of_them():
    one, other = loops_of("x"), loops_of("y")
    common(one).known["mark"] = "here"
    marked = common(other).known
    del one, other
    gc.collect()

    assert marked == {"mark": "here"}
    assert common(loops_of("x")).known == {}


def test_what_was_found_out_does_not_tell_kernels_apart():
    one, other = loops_of("x"), loops_of("x")
    statements(one)

    assert one == other
    assert hash(one) == hash(other)


def test_what_is_asked_of_a_form_is_found_once_for_all_kernels_of_it():
    found = []

    @of_form
    def count(kernel):
        found.append(kernel)
        return len(statements(kernel))

    one, other = loops_of("x"), loops_of("y")

    assert count(one) == count(other) == len(statements(one))
    assert found == [one]
