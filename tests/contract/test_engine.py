"""The contract suite over every engine there is. A second engine adds one row to `ENGINES`."""

from __future__ import annotations

import pytest

from roomful_rtc.py_engine import PyEngine

from .engine import EngineContract
from .engine.rig import EngineMaker

ENGINES: dict[str, EngineMaker] = {"python": PyEngine}


class TestEngine(EngineContract):
    """Every engine answers to `EngineContract`."""

    @pytest.fixture(params=sorted(ENGINES))
    def make_engine(self, request: pytest.FixtureRequest) -> EngineMaker:
        return ENGINES[request.param]
