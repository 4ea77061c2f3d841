"""What all tests share."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite the golden files from today's results")
    parser.addoption("--fuzz-seed", type=int, default=0, help="the first seed of the drawn programs")


@pytest.fixture
def update(request):
    """Whether golden files are to be rewritten."""
    return request.config.getoption("--update")
