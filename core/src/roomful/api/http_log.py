"""What the HTTP library has to say, as our log says it.

Bytes that are no HTTP are anybody's to send, so they are counted and not logged; addresses are
personal data and stay out of messages.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from roomful.api.metrics import HttpCounts

log = logging.getLogger("roomful.http")


class HttpLog(logging.LoggerAdapter[logging.Logger]):
    """Stands where aiohttp's server wants its logger."""

    def __init__(self, counts: HttpCounts) -> None:
        super().__init__(log, {})
        self._counts = counts

    def exception(
        self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any
    ) -> None:
        """Log a failure of ours; count one of the caller's."""
        if isinstance(exc_info, HttpProcessingError | web.RequestPayloadError):
            self._counts.refused["malformed"] += 1
        else:
            log.error("HTTP request failed", exc_info=exc_info)
