"""Removal, handles, bad arguments, limits."""

from __future__ import annotations

from itertools import permutations

import pytest

from roomful.errors import ResourceExhausted
from roomful_rtc.engine import (
    EngineLimits,
)

from .rig import (
    FIRST_SEQ,
    OUT_PTS,
    SINK_PTS,
    EngineMaker,
    Kept,
    Rig,
    Stream,
)
from .suite import OUT_SSRC, RTX_SSRC, SSRC, TURN_PACKETS, EngineSuite, rig_codec


class Rows(EngineSuite):
    """A part of `EngineContract`."""

    def test_stale_handles_are_lookup_errors(self, rig: Rig, video: Stream) -> None:
        engine, party = rig.engine, rig.party()
        down = self.down(rig, video.up, party)
        engine.remove_down(down)
        engine.remove_up(video.up)
        engine.remove_peer(party.peer)
        calls = [
            lambda: engine.remove_down(down),
            lambda: engine.set_down(down, True),
            lambda: engine.switch(down, video.up),
            lambda: engine.resend(down, [1]),
            lambda: engine.remove_up(video.up),
            lambda: engine.set_rtx(video.up, 9),
            lambda: engine.add_sink(video.up, Kept(), SINK_PTS),
            lambda: engine.add_down(video.up, video.party.peer, 77, OUT_PTS),
            lambda: engine.add_down(0, party.peer, 77, OUT_PTS),
            lambda: engine.add_up(party.peer, 5, "opus", 48000),
            lambda: engine.remove_peer(party.peer),
            lambda: engine.feed(video.up, bytes(20), 0),
            lambda: engine.give_up(video.up, 1),
            lambda: engine.allow(party.peer, ("127.0.0.1", 9)),
            lambda: engine.move_peer(party.peer, ("127.0.0.1", 9)),
            lambda: engine.set_keys(party.peer, *party.raw_keys),
            lambda: engine.set_codecs(party.peer, {}),
            lambda: engine.set_extensions(party.peer, {}, {}),
            lambda: engine.set_tcp(party.peer, None),
            lambda: engine.send(party.peer, b"x"),
            lambda: engine.set_down(video.party.peer, True),
            lambda: engine.remove_up(video.party.peer),
        ]
        for call in calls:
            with pytest.raises(LookupError):
                call()

    def test_a_freed_handle_is_not_given_again(self, rig: Rig) -> None:
        party, seen = rig.party(), set()
        for _ in range(50):
            up = rig.engine.add_up(party.peer, SSRC, "opus", 48000)
            assert up not in seen
            seen.add(up)
            rig.engine.remove_up(up)

    @pytest.mark.parametrize("order", list(permutations(("up", "down", "publisher", "listener"))))
    def test_rows_are_removed_in_any_order_under_traffic(
        self, rig: Rig, order: tuple[str, ...]
    ) -> None:
        stream = Stream(rig, rig.party(), SSRC, rtx_ssrc=RTX_SSRC)
        listener, witness = rig.party(), rig.party()
        down = self.down(rig, stream.up, listener)
        other = Stream(rig, rig.party(), SSRC)
        self.down(rig, other.up, witness)
        other.send(other.frame(key=True))
        stream.send(stream.frame(key=True))
        rig.engine.switch(down, other.up)
        removals = {
            "up": lambda: rig.engine.remove_up(stream.up),
            "down": lambda: rig.engine.remove_down(down),
            "publisher": lambda: rig.engine.remove_peer(stream.party.peer),
            "listener": lambda: rig.engine.remove_peer(listener.peer),
        }
        for name in order:
            try:
                removals[name]()
            except LookupError:
                assert name in ("up", "down")
            stream.send(stream.frame(), stream.frame(key=True))
            other.send(other.frame(key=order.index(name) == 1))
            rig.turn(60)
        assert len(witness.received()) == 5
        stats = rig.engine.stats()
        assert (len(stats.ups), len(stats.downs), len(stats.peers)) == (1, 1, 2)

    def test_rows_can_be_removed_within_a_fan_out(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        downs = [self.down(rig, stream.up, listener, ssrc=0x1000 + 2 * n) for n in range(300)]
        rig.settle()
        stream.party.send(stream.packet())
        rig.turn()
        for down in downs[250:]:
            rig.engine.remove_down(down)
        rig.engine.remove_up(stream.up)
        rig.settle()
        assert len(listener.datagrams()) == TURN_PACKETS

    def test_a_down_survives_its_up(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        rig.engine.remove_up(video.up)
        assert rig.engine.stats().downs[down].up == 0
        other = Stream(rig, rig.party(), SSRC)
        rig.engine.switch(down, other.up)
        other.send(other.frame(key=True))
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 1]

    def test_an_ssrc_is_never_used_twice_towards_a_peer(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        for ssrc, rtx in ((OUT_SSRC, 9), (9, OUT_SSRC), (OUT_SSRC + 1, 0), (8, 8), (0, 9)):
            with pytest.raises(ValueError, match="SSRC"):
                rig.engine.add_down(video.up, listener.peer, ssrc, OUT_PTS, rtx_ssrc=rtx)
        rig.engine.remove_down(down)
        with pytest.raises(ValueError, match="SSRC"):
            rig.engine.add_down(video.up, listener.peer, OUT_SSRC, OUT_PTS)

    def test_bad_arguments_are_value_errors(self, rig: Rig, video: Stream) -> None:
        engine, party = rig.engine, rig.party()
        calls = [
            lambda: engine.add_up(video.party.peer, SSRC, "vp8", 90000),
            lambda: engine.add_up(party.peer, 1 << 32, "vp8", 90000),
            lambda: engine.add_up(party.peer, 5, "vp8", 0),
            lambda: engine.add_down(video.up, party.peer, 5, {"vp8": 128}),
            lambda: engine.set_extensions(party.peer, {"mid": 0}, {}),
            lambda: engine.set_extensions(party.peer, {}, {"nonsense": 1}),
            lambda: engine.set_codecs(party.peer, {200: rig_codec("opus")}),
            lambda: engine.set_rtx(video.up, SSRC),
        ]
        for call in calls:
            with pytest.raises(ValueError):
                call()

    def test_limits_are_told(self, make_engine: EngineMaker) -> None:
        rig = Rig(make_engine, EngineLimits(peers=2, ups=2, downs=2, ssrcs_per_peer=3))
        one, other = rig.party(), rig.party()
        spare = rig.stranger()
        with pytest.raises(ResourceExhausted):
            rig.engine.add_peer(spare.addr)
        up = rig.engine.add_up(one.peer, 1, "vp8", 90000, rtx_ssrc=2)
        rig.engine.add_up(one.peer, 3, "vp8", 90000)
        with pytest.raises(ResourceExhausted):
            rig.engine.set_rtx(up + 1, 4)
        with pytest.raises(ResourceExhausted):
            rig.engine.add_up(other.peer, 5, "opus", 48000)
        for ssrc in (10, 12):
            rig.engine.add_down(up, other.peer, ssrc, OUT_PTS)
        with pytest.raises(ResourceExhausted):
            rig.engine.add_down(up, other.peer, 14, OUT_PTS)
        with pytest.raises(ResourceExhausted):
            rig.engine.add_sink(up, Kept(), SINK_PTS)
        rig.close()

    def test_close_can_be_repeated(self, rig: Rig) -> None:
        rig.engine.close()
        rig.engine.close()
