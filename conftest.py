"""What tests of all distributions share: golden files are written again on request."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--update-golden``: rewrite what was recorded instead of comparing with it."""
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten in this run."""
    return bool(request.config.getoption("--update-golden"))
