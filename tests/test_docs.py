"""The examples in the documentation and in docstrings run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import symgraph as sg

ROOT = Path(__file__).parent.parent
TABLES = {ROOT / "docs" / "rules.md", ROOT / "docs" / "accuracy.md"}
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(sg.__path__, "symgraph.")
    if not name.startswith(("symgraph.ops.", "symgraph.examples", "symgraph.__main__"))
]


def run(test):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said = []
    runner.run(test, out=said.append)
    return "".join(said)


def names():
    return {name: getattr(sg, name) for name in sg.__all__} | {"sg": sg, "np": __import__("numpy")}


@pytest.mark.parametrize(
    "page", sorted(set((ROOT / "docs").glob("*.md")) - TABLES), ids=lambda page: page.stem
)
def test_page(page):
    if page.stem == "aot":
        pytest.importorskip("llvmlite", exc_type=ImportError)
    blocks = re.findall(r"```python\n(>>> .*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    text = "\n".join(blocks)
    said = run(doctest.DocTestParser().get_doctest(text, names(), page.name, str(page), 0))

    assert blocks
    assert not said, said


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("llvmlite"):
            raise
        pytest.skip("llvmlite is absent")
    finder = doctest.DocTestFinder(exclude_empty=True)
    for test in finder.find(module, extraglobs=names() | vars(module)):
        said = run(test)
        assert not said, said


def test_the_readme_example_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})

    assert blocks
    assert capsys.readouterr().out
