"""A publisher that sends pre-encoded clips with marks over real DTLS and SRTP: `replay`.

    async with replay(url, token, video="vp8", simulcast=True) as publisher:
        ...

Clips are made with PyAV when they are first asked for and kept in the user's cache folder. The same
from a shell: `python -m roomful_testing.replay URL TOKEN`.
"""

from roomful_testing.replay.publisher import Played, Replay, replay

__all__ = ["Played", "Replay", "replay"]
