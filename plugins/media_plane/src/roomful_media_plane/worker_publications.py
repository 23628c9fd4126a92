"""What the participant of a job publishes, over the workers that write to it."""

from __future__ import annotations

from collections.abc import Iterator

from roomful.errors import MediaError, RemoteProtocolError, RequestError
from roomful.room.local_connection import LocalConnection
from roomful_media.link_socket import LinkSocket
from roomful_media_plane import worker_messages as messages
from roomful_media_plane.worker_messages import Publish
from roomful_media_plane.worker_tracks import PublishedTrack
from roomful_rtc.link.control import Message, field

_TEXT = 500


class WorkerPublications:
    """The tracks of one participant by the name that its workers gave them.

    `here`, in each call: the participant's connection. What a worker says wrong is a
    `RemoteProtocolError`; what the room or the media plane refuses is told to it.
    """

    def __init__(self, streams: Iterator[int]) -> None:
        """`streams`: numbers of the link that were not used before."""
        self._streams = streams
        self._tracks: dict[str, PublishedTrack] = {}
        """bounded by the tracks a participant may publish"""

    # --- commands of the worker ----------------------------------------------------------------

    def publish(self, here: LocalConnection, link: LinkSocket, message: Message) -> None:
        """Publish, or let this worker go on with what a lost one published under the same name."""
        wish = messages.read_publish(message)
        known = self._tracks.get(wish.ref)
        if known is not None and known.streams:
            raise RemoteProtocolError(f"'publish': {wish.ref!r} is published")
        try:
            track = self._continued(here, known, wish) if known else self._added(here, wish)
        except (RequestError, MediaError, ValueError) as error:
            link.send(_refused(wish.ref, error))
            return
        track.attach(link, [next(self._streams) for _ in range(wish.streams)])
        if known is track:
            here.mute(track.sid, track.muted)

    def unpublish(self, here: LocalConnection, message: Message) -> None:
        """End a track; nothing happens when the room did so meanwhile."""
        if track := self._find(messages.text(message, "track_sid")):
            self._drop(here, track)

    def mute(self, here: LocalConnection, message: Message) -> None:
        """Mute or unmute a track, unless the room ended it meanwhile."""
        muted = field(message, "muted", bool)
        if track := self._find(messages.text(message, "track_sid")):
            track.muted = muted
            here.mute(track.sid, muted)

    # --- what happens --------------------------------------------------------------------------

    def mute_asked(self, track_sid: str, muted: bool) -> None:
        """Somebody else muted or unmuted a track; so it stays over the loss of a worker."""
        if track := self._find(track_sid):
            track.muted = muted

    def removed(self, track_sid: str) -> bool:
        """The room or the media plane ended a track; whether it was one of these."""
        track = self._find(track_sid)
        if track is None:
            return False
        self._forget(track)
        return True

    def lost(self, here: LocalConnection) -> None:
        """The worker is gone: its tracks are silent until another one goes on with them."""
        for track in self._tracks.values():
            track.detach()
            here.mute(track.sid, True)

    def close(self) -> None:
        """The participant is out, its sources are gone."""
        for track in list(self._tracks.values()):
            self._forget(track)

    # --- inside --------------------------------------------------------------------------------

    def _added(self, here: LocalConnection, wish: Publish) -> PublishedTrack:
        sid, source = here.publish(wish.info, wish.layers, fmtp=wish.fmtp)
        track = self._tracks[wish.ref] = PublishedTrack(wish, sid, source)
        return track

    def _continued(
        self, here: LocalConnection, known: PublishedTrack, wish: Publish
    ) -> PublishedTrack:
        """The same track if it may go on, else another one in its place."""
        if not wish.may_continue(known.wish):
            self._drop(here, known)
            return self._added(here, wish)
        known.source.restart()
        return known

    def _drop(self, here: LocalConnection, track: PublishedTrack) -> None:
        self._forget(track)
        here.unpublish(track.sid)

    def _forget(self, track: PublishedTrack) -> None:
        del self._tracks[track.wish.ref]
        track.detach()

    def _find(self, track_sid: str) -> PublishedTrack | None:
        return next((track for track in self._tracks.values() if track.sid == track_sid), None)


def _refused(ref: str, error: Exception) -> Message:
    code = error.code if isinstance(error, RequestError | MediaError) else "invalid_argument"
    return {"t": "refused", "ref": ref, "code": code, "message": str(error)[:_TEXT]}
