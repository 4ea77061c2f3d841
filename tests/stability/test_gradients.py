"""A slope that is finite is found, whatever overflows on the way or in a branch that is not taken."""

import numpy as np
import pytest

import symgraph as sg
from tests.stability.respell import SPELLINGS, spelling
from tests.stability.suite import DTYPES, SLOPES


@pytest.mark.parametrize("number", range(SPELLINGS))
@pytest.mark.parametrize("check", SLOPES, ids=str)
def test_slopes_are_right_however_they_are_spelt(check, number):
    for dtype in DTYPES:
        said = spelling(number, str(check), check.build, check.point(dtype))
        slope = sg.grad(said.root.sum(), said.x)
        f = sg.function([said.x], [slope, said.root, *said.others])
        found = f(said.array)[0]

        check.assert_right(found[said.used][said.place], dtype, f)
        assert np.all(np.isfinite(found)), f
