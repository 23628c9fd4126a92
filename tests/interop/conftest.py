"""What every interop test has in common."""

import re
import uuid

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the suite, and allow the short key that development servers share."""
    for item in items:
        if "tests/interop" in item.path.as_posix():
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.filterwarnings("ignore:The HMAC key is"))


@pytest.fixture
def room_name(request: pytest.FixtureRequest) -> str:
    """A room nobody else uses."""
    return re.sub(r"\W+", "-", request.node.name)[:40] + "-" + uuid.uuid4().hex[:6]
