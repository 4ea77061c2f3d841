"""Passes by their text: a program, ``# becomes``, the program it becomes; ``pytest --update`` rewrites the second."""

from pathlib import Path

import pytest

import symgraph as sg
from symgraph.optimizations.pipeline import optimize

HERE = Path(__file__).parent
BECOMES = "\n# becomes\n\n"


@pytest.mark.parametrize(
    "path", sorted(HERE.rglob("*.sg")), ids=lambda path: str(path.relative_to(HERE))[:-3]
)
def test_a_pass_by_its_text(path, update):
    given, _, wanted = path.read_text(encoding="utf-8").partition(BECOMES)
    name = path.parent.name
    options = sg.Options(fast_math=name == "fast", verify=True)
    stage = optimize(sg.parse(given), options, [name])[-1]
    found = sg.show(stage.graph, origins=False)
    if update:
        path.write_text(given.rstrip() + "\n" + BECOMES + found, encoding="utf-8")
    else:
        assert wanted == found
