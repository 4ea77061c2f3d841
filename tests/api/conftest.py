"""A folder for what is recalled."""

import pytest

from symgraph.runtime import identity
from symgraph.runtime.code import code


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of the test's own, in which sources count as unchanged however new they are."""
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(identity, "_SINCE", 1 << 63)
    identity.identity.cache_clear()
    yield tmp_path / "cache"
    code().settle()
    identity.identity.cache_clear()
