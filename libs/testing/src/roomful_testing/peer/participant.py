"""One raw participant: signalling, transport, streams and counts put together."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress

from aiortc import RTCSctpTransport
from livekit.protocol import models, rtc

from roomful.errors import InvalidArgument, RoomfulError, TransportTimeout
from roomful_testing.clip import Film, Sound
from roomful_testing.peer import channels
from roomful_testing.peer.commons import Commons
from roomful_testing.peer.description import PAYLOAD_TYPES, RIDS, Answer, Remote, Section
from roomful_testing.peer.feedback import Feedback
from roomful_testing.peer.negotiation import Negotiation
from roomful_testing.peer.player import FilmPlayer, Player, SoundPlayer
from roomful_testing.peer.signalling import SignalSocket
from roomful_testing.peer.stream import OutStream, TransportNumbers
from roomful_testing.peer.transport import Transport

CONNECTED_WITHIN_S = 20.0
_QUALITIES = (models.LOW, models.MEDIUM, models.HIGH)


class Participant:
    """Made inside a running loop; `join`, `play`, `leave`."""

    def __init__(self, commons: Commons, url: str, *, audios: int = 0, videos: int = 0) -> None:
        """Prepare.

        Args:
            commons: shared with others of this loop.
            url: `ws://host:port` of the server.
            audios: sections of the first offer to receive in; the server asks for more.
            videos: the same.
        """
        self.transport = Transport(commons.certificate, commons.buffer)
        self.players: list[Player] = []
        self.feedback = Feedback(self.transport, self.players)
        self.joined_s = 0.0
        """from knocking to being in; the transport comes after it"""
        self.association: RTCSctpTransport | None = None
        self._commons = commons
        sections = [Section("audio")] * audios + [Section("video")] * videos
        sections.append(Section("application"))  # as every client: an offer is never empty
        self._socket = SignalSocket(url, session=commons.session)
        self.negotiation = Negotiation(
            self._socket, self.transport.credentials, sections, self._on_answer
        )
        self.negotiation.on_quality = self._on_quality
        self._layers: dict[str, list[FilmPlayer]] = {}
        """track SID → its layers, the smallest first"""
        self._numbers = TransportNumbers()
        self._connecting: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._problem: RoomfulError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def left(self) -> str:
        """Why this participant is not there any more; empty while it is."""
        if self._problem is not None:
            return str(self._problem)
        ended = "the server closed the websocket" if self._socket.closed.is_set() else ""
        return self.negotiation.left or ended

    # --- life -----------------------------------------------------------------------------------

    async def join(self, token: str) -> None:
        """Join and connect the transport.

        Raises:
            Refused: the server does not let us in.
            TransportError: it does not answer, or the handshake failed.
        """
        begin = self._now()
        await self.negotiation.join(token)
        self.joined_s = self._now() - begin
        try:
            await asyncio.wait_for(self._connected.wait(), CONNECTED_WITHIN_S)
        except TimeoutError:
            raise TransportTimeout("the server told no address to connect to") from None
        if self._problem is not None:
            raise self._problem

    def _on_answer(self, answer: Answer) -> None:
        remote = answer.remote()
        if remote is not None and self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(remote))
            self._tasks.append(self._connecting)

    async def _connect(self, remote: Remote) -> None:
        try:
            await self.transport.connect(remote)
            self.association = await channels.begin(self.transport)
            for label, parameters in channels.SPECS:
                channels.channel(self.association, label, **parameters)
        except RoomfulError as error:
            self._problem = error
        else:
            keep = self.transport.keep_alive()
            self._tasks.append(asyncio.get_running_loop().create_task(keep))
        self._connected.set()

    def read_in_turns(self) -> None:
        """Read what comes when the metronome is awake, not at once: many packets share one look."""
        self._commons.metronome.add_transport(self.transport)

    async def leave(self) -> None:
        """Say goodbye and free everything."""
        self._commons.metronome.remove(self.transport, self.players)
        if self.association is not None:
            with suppress(ConnectionError):
                await self.association.stop()
            channels.silence(self.association)
        await self.negotiation.close()
        await self._socket.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.transport.goodbye()
        self.transport.close()

    # --- publishing -----------------------------------------------------------------------------

    async def play_sound(
        self, sound: Sound, *, name: str = "microphone", begin: float = 0.0
    ) -> str:
        """Publish and play a sound from `begin` (loop time; by default from now); return the SID.

        Raises:
            InvalidArgument: the server does not take it.
            TransportTimeout: it does not answer.
        """
        cid, ssrc = secrets.token_hex(8), _new_ssrc()
        request = rtc.AddTrackRequest(
            cid=cid, name=name, type=models.AUDIO, source=models.MICROPHONE,
            disable_dtx=True, disable_red=True,
        )  # fmt: skip
        mid, sid = await self._publish(
            Section("audio", "sendonly", cid, ssrc=ssrc), request, "opus"
        )
        stream = self._stream(ssrc, "opus", mid, level=sound.level)
        now = self._now()
        self._begin(SoundPlayer(stream, sound, begin or now, now))
        return sid

    async def play_film(
        self,
        layers: Sequence[Film],
        *,
        name: str = "camera",
        begin: float = 0.0,
        slack_s: float = 0.0,
        history: bool = False,
    ) -> str:
        """Publish and play a film, or several sizes of it as simulcast, the smallest first.

        Args:
            layers: of one codec, three at most.
            name: of the track.
            begin: loop time of the first picture; by default now.
            slack_s: by which pictures may go out earlier or later, together with other packets.
            history: whether packets that are missed can be sent again.

        Raises:
            InvalidArgument: the layers do not go together, or the server does not take them.
            TransportTimeout: it does not answer.
        """
        codecs = {film.codec for film in layers}
        if len(codecs) != 1 or len(layers) > len(RIDS):
            raise InvalidArgument(f"layers of {codecs!r}, {len(layers)} of them, are no track")
        codec, best, cid = layers[0].codec, layers[-1], secrets.token_hex(8)
        ssrcs = [_new_ssrc() for _ in layers]
        rids = RIDS[: len(layers)] if len(layers) > 1 else ()
        request = rtc.AddTrackRequest(
            cid=cid, name=name, type=models.VIDEO, source=models.CAMERA,
            width=best.width, height=best.height,
            layers=_described(layers, ssrcs, simulcast=bool(rids)),
        )  # fmt: skip
        request.simulcast_codecs.add(codec=codec, cid=cid)
        section = Section(
            "video", "sendonly", cid, ssrc=0 if rids else ssrcs[0], rids=rids, codecs=(codec,)
        )
        mid, sid = await self._publish(section, request, codec)
        now = self._now()
        players: list[FilmPlayer] = []
        for place, (film, ssrc) in enumerate(zip(layers, ssrcs, strict=True)):
            stream = self._stream(ssrc, codec, mid, rid=rids[place] if rids else "")
            if history:
                stream.keep_history()
            players.append(FilmPlayer(stream, film, begin or now, now, slack_s))
        self._layers[sid] = players
        for player in players:
            self._begin(player)
        return sid

    async def _publish(
        self, section: Section, request: rtc.AddTrackRequest, codec: str
    ) -> tuple[str, str]:
        mid, sid = await self.negotiation.publish(section, request)
        answered = self.negotiation.answer.section(mid)
        if answered.rejected or codec not in answered.codecs.values():
            raise InvalidArgument(f"the server's answer to {request.name!r} is without {codec}")
        return mid, sid

    def _stream(
        self, ssrc: int, codec: str, mid: str, *, rid: str = "", level: int = 20
    ) -> OutStream:
        return OutStream(
            self.transport, self._commons.buffer, self._numbers,
            ssrc=ssrc, pt=PAYLOAD_TYPES[codec], mid=mid, rid=rid, level=level,
        )  # fmt: skip

    def _begin(self, player: Player) -> None:
        self.players.append(player)
        self._commons.metronome.add_player(player)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _on_quality(self, update: rtc.SubscribedQualityUpdate) -> None:
        """Stop layers that nobody looks at, as clients with dynacast do."""
        layers = self._layers.get(update.track_sid, ())
        named = [codec.qualities for codec in update.subscribed_codecs]
        for quality in named[0] if named else update.subscribed_qualities:
            if quality.quality < len(layers):
                layers[quality.quality].want(quality.enabled)


def _new_ssrc() -> int:
    return secrets.randbits(31) + 1


def _described(
    layers: Sequence[Film], ssrcs: Sequence[int], *, simulcast: bool
) -> list[models.VideoLayer]:
    """The layers as a request tells them; a single one is the best."""
    qualities = _QUALITIES if simulcast else (models.HIGH,)
    return [
        models.VideoLayer(
            quality=quality, width=film.width, height=film.height, bitrate=film.bitrate,
            ssrc=0 if simulcast else ssrc,
        )
        for quality, film, ssrc in zip(qualities, layers, ssrcs, strict=False)
    ]  # fmt: skip
