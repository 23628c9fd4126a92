"""Paths that begin with several slashes mean those with one.

Users write the server's URL with a slash at its end, clients add a path that begins with one.
Browsers follow no redirect for a WebSocket, so the route is found without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web
from yarl import URL


class DoubledSlashes(web.AbstractResource):
    """Finds the route of `//rtc` as that of `/rtc`; register it last."""

    def __init__(self, router: web.UrlDispatcher) -> None:
        super().__init__()
        self._router = router

    @property
    def canonical(self) -> str:
        return "/"

    async def resolve(self, request: web.Request) -> Any:
        """Return (match, allowed methods), no match for a path that is as it should be."""
        raw = request.rel_url.raw_path
        if not raw.startswith("//"):
            return None, set[str]()
        path = "/" + raw.lstrip("/")
        url = URL.build(path=path, query_string=request.rel_url.raw_query_string, encoded=True)
        match = await self._router.resolve(request.clone(rel_url=url))
        return (match, set[str]()) if match.http_exception is None else (None, set[str]())

    def add_prefix(self, prefix: str) -> None:
        raise NotImplementedError("it stands at the root")

    def url_for(self, **kwargs: str) -> URL:
        raise NotImplementedError("no URL is made with two slashes")

    def get_info(self) -> Any:
        return {"path": "//"}

    def raw_match(self, path: str) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(())
