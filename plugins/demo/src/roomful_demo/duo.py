"""The first scene: a presenter and a listener, two ordinary participants of the published SDK."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from livekit import rtc

from roomful_demo.listener import ECHO_TOPIC, IDENTITY, Listener, listener
from roomful_demo.member import Member, off, on
from roomful_demo.presenter import presenter
from roomful_demo.scene import Finding, Line, Stage

MEDIA_WITHIN_S = 15.0
ECHO_WITHIN_S = 5.0
CODECS = {rtc.TrackKind.KIND_VIDEO: "video/vp8", rtc.TrackKind.KIND_AUDIO: "audio/opus"}

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Duo:
    """Both, in the room."""

    presenter: Member
    listener: Listener


class DuoScene:
    """What flows between two participants is what was sent: checked after decoding."""

    name = "two participants"

    def start(self, stage: Stage) -> AbstractAsyncContextManager[Duo]:
        """Let both join and the presenter play."""
        return _play(stage)

    async def check(self, play: Duo) -> list[Finding]:
        """Check picture, sound, codecs and data; see `CHECK_LIMIT_S`."""
        findings = [_joined(play)]
        findings += await _media(play.listener)
        findings += await _codecs(play.listener)
        findings.append(await _data(play))
        return findings

    def watch(self, play: Duo) -> Iterable[Line]:
        """Say what the listener hears and sees."""
        return [
            Line("listener hears", heard(play.listener)),
            Line("listener sees", seen(play.listener)),
        ]


@asynccontextmanager
async def _play(stage: Stage) -> AsyncGenerator[Duo, None]:
    async with presenter(stage) as first, listener(stage) as second:
        yield Duo(first, second)


def heard(who: Listener) -> str:
    """Return `♪ E4 330 Hz, -17 dBFS`."""
    tone = who.ear.newest
    if tone is None:
        return "nothing yet"
    if not tone.hertz:
        return f"silence ({tone.level_dbfs:.0f} dBFS)"
    name = tone.note.name if tone.note else "no note of the melody"
    return f"♪ {name} {tone.hertz:.0f} Hz, {tone.level_dbfs:.0f} dBFS"


def seen(who: Listener) -> str:
    """Return the marker's colour and place, and how fast pictures come."""
    eye = who.eye
    if not eye.frames:
        return "nothing yet"
    width, height = eye.size
    marker = eye.newest
    where = f"rgb{marker.colour} at {marker.x:.0%}, {marker.y:.0%}" if marker else "no marker"
    return f"{where}, {width}×{height}, {eye.frames_per_s:.0f} frames/s"


def _joined(play: Duo) -> Finding:
    assert play.listener.me is not None
    first, second = play.presenter.join_s, play.listener.me.join_s
    return Finding("joined", f"presenter {_ms(first)}, listener {_ms(second)}", True)


async def _media(who: Listener) -> list[Finding]:
    """Wait until all is seen and heard, or for `MEDIA_WITHIN_S`."""
    eye, ear = who.eye, who.ear
    loop = asyncio.get_running_loop()
    give_up = loop.time() + MEDIA_WITHIN_S
    while (eye.missing() or ear.missing()) and loop.time() < give_up:  # noqa: ASYNC110 (too many frames for an event each)
        await asyncio.sleep(_LOOK_EVERY_S)
    return [_picture(who), _sound(who)]


def _picture(who: Listener) -> Finding:
    eye = who.eye
    if (missing := eye.missing()) is not None:
        return Finding("picture", missing, False)
    assert eye.first_at_s is not None
    first = _ms(eye.first_at_s - who.began_at_s)
    return Finding("picture", f"{seen(who)}, {eye.frames} frames, first after {first}", True)


def _sound(who: Listener) -> Finding:
    ear = who.ear
    if (missing := ear.missing()) is not None:
        return Finding("sound", missing, False)
    assert ear.first_at_s is not None
    low, high = ear.span_hertz
    melody = " ".join(note.name for note in list(ear.notes)[-6:])
    first = _ms(ear.first_at_s - who.began_at_s)
    return Finding(
        "sound",
        f"{melody}, {low:.0f} to {high:.0f} Hz (off by {ear.error_hertz:.1f} Hz at most), "
        f"{ear.level_dbfs:.0f} dBFS, first after {first}",
        True,
    )


async def _codecs(who: Listener) -> list[Finding]:
    """Compare what is decoded with what was asked for."""
    used = {kind: (await who.codec(kind)).lower() for kind in CODECS}
    wrong = [
        f"{wanted} was asked for, {used[kind] or 'nothing'} is decoded"
        for kind, wanted in CODECS.items()
        if used[kind] != wanted
    ]
    return [Finding("codecs", "; ".join(wrong) or ", ".join(used.values()), not wrong)]


async def _data(play: Duo) -> Finding:
    """Send a data packet and wait for its echo: there and back."""
    loop = asyncio.get_running_loop()
    sent, echo = secrets.token_bytes(16), asyncio.Event()

    def receive(packet: rtc.DataPacket) -> None:
        if packet.topic == ECHO_TOPIC and packet.data == sent:
            echo.set()

    on(play.presenter.room, "data_received", receive)
    began = loop.time()
    try:
        async with asyncio.timeout(ECHO_WITHIN_S):
            await play.presenter.local.publish_data(
                sent, topic=ECHO_TOPIC, destination_identities=[IDENTITY]
            )
            await echo.wait()
    except TimeoutError:
        return Finding("data", f"no echo of a data packet within {ECHO_WITHIN_S:.0f} s", False)
    finally:
        off(play.presenter.room, "data_received", receive)
    return Finding("data", f"there and back in {_ms(loop.time() - began)}", True)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
