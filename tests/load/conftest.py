"""What every load test has in common."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the suite, and allow the short key that development servers share."""
    for item in items:
        if "tests/load" in item.path.as_posix():
            item.add_marker(pytest.mark.load)
            item.add_marker(pytest.mark.filterwarnings("ignore:The HMAC key is"))
