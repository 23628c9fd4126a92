"""One participant's connection: notices of the room become messages and media, and back.

    room ──deliver──▶ messages to the socket, legs of the subscriber, data to the channels
    client ─requests.py─▶ commands to the room session

The connection outlives its socket: while the transport is alive a client may come back with a new
one (`resume`). It ends when the room takes the participant out, for whatever reason.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from roomful.api.wire import track_to_wire
from roomful.auth.grants import Grants
from roomful.errors import InvalidArgument, RequestError
from roomful.model.enums import DisconnectReason
from roomful.model.events import (
    DataReceived,
    FirstSubscriber,
    MuteRequested,
    Notice,
    ParticipantChanged,
    SubscriptionAllowed,
    SubscriptionEnded,
    SubscriptionSettingsChanged,
    SubscriptionStarted,
    TrackRemoved,
)
from roomful.model.participant import Participant
from roomful.room.session import RoomSession
from roomful.token_bucket import TokenBucket
from roomful_webrtc.broadcasts import Broadcasts, subject_of
from roomful_webrtc.data import DataChannels
from roomful_webrtc.dual_pc import CHANNELS, DualPc
from roomful_webrtc.join_response import join_response, reconnect_response
from roomful_webrtc.peer_events import PeerEvents
from roomful_webrtc.publishing import Publisher
from roomful_webrtc.refresh import TokenRefresh
from roomful_webrtc.single_pc import SinglePc
from roomful_webrtc.subscribing import Subscriber, named_anew

if TYPE_CHECKING:
    from roomful_rtc.peer import WirePeer
    from roomful_webrtc.client_join import ClientJoin
    from roomful_webrtc.services import Services
    from roomful_webrtc.socket import SignalSocket

log = logging.getLogger(__name__)

UPDATES_PER_S = 10
"""a participant's own metadata updates: each goes to everybody in the room"""
MAX_LISTED = 4096
"""tracks or participants that one request may name"""
GOODBYE_S = 1.0
"""how long after its transport a client's `leave` may come and still be the reason"""

TELLS_ONCE = frozenset({"rust", "python", "node", "cpp", "unity"})
"""SDKs on the Rust core, which with two peer connections tells of a stream id once per section"""

_RECONNECT = frozenset(
    {
        DisconnectReason.SERVER_SHUTDOWN,
        DisconnectReason.STATE_MISMATCH,
        DisconnectReason.MEDIA_FAILURE,
        DisconnectReason.CONNECTION_TIMEOUT,
        DisconnectReason.JOIN_FAILURE,
    }
)
"""reasons after which the client should join anew"""


class WebRtcConnection:
    """Connects one participant. Answers to `roomful.room.factories.Connection`."""

    def __init__(
        self,
        services: Services,
        broadcasts: Broadcasts,
        session: RoomSession,
        participant: Participant,
        grants: Grants,
        join: ClientJoin,
        socket: SignalSocket,
    ) -> None:
        self.services, self.session, self.participant = services, session, participant
        self.join, self.socket = join, socket
        self._broadcasts = broadcasts
        self._tokens = TokenRefresh(services.server.tokens, grants, participant, self._send_token)
        self._exceptions: set[str] = set()
        """tracks that the client itself asked to be otherwise than its auto-subscription says"""
        self._ever_connected = self._told_to_leave = False
        self._goodbye: asyncio.TimerHandle | None = None
        self._updates = TokenBucket(UPDATES_PER_S, 2 * UPDATES_PER_S)
        self.publisher = Publisher(
            session, participant.identity, participant.sid,
            services.server.settings.limits.tracks_per_participant,
        )
        self.subscriber = Subscriber(
            lambda: self.pc.subscriber_peer,
            adaptive=join.adaptive_stream,
            may_pause=join.may_pause,
            unsupported=self._codec_unsupported,
        )
        self.pc = self._peer_connections()
        self.data = DataChannels(
            session, participant, self.pc.publisher_peer, self.pc.subscriber_peer, services
        )

    # --- beginning ---------------------------------------------------------------------------

    async def begin(self) -> None:
        """Send the first messages and open the transports; the room's notices follow."""
        services, join = self.services, self.join
        self.send(join=join_response(services, self.session, self.participant, join))
        await self._tokens.send()
        self.session.connect(self.participant.identity, self)
        self.session.joined(self.participant.identity)
        for request in join.add_tracks:
            self.add_track(request)
        offer = await self.services.descriptions.read(join.offer) if join.offer else None
        self.pc.begin(offer)
        self._tokens.start()

    async def resume(self, socket: SignalSocket, join: ClientJoin) -> None:
        """Go on with a new socket: same SID, same transports."""
        previous, self.socket = self.socket, socket
        self.send(
            reconnect=reconnect_response(
                self.services, self.participant.identity, self.data.last_sequence
            )
        )
        seen = (
            p.info
            for p in self.session.room.participants.values()
            if p is self.participant or not p.permission.hidden
        )
        self.send(update=self._broadcasts.update_of(seen))
        self.send(room_update=self._broadcasts.room_of(self.session.info))
        await self._tokens.send()
        await previous.close()
        if join.sync_state is not None:
            try:
                self.sync(join.sync_state)
            except RequestError as error:
                log.info("state of a resumed client refused", extra={"problem": error.message})
        self.pc.resume()

    def _peer_connections(self) -> SinglePc | DualPc:
        plane = self.services.plane
        session_id = secrets.randbits(62)
        primary_is_subscriber = self.participant.permission.can_subscribe
        if self.join.single_pc:
            peer = plane.peer(PeerEvents(self, primary=True, upstream=True, downstream=True))
            return SinglePc(peer, self.publisher, self.subscriber, self.send, session_id)
        upstream = plane.peer(
            PeerEvents(self, primary=not primary_is_subscriber, upstream=True, downstream=False)
        )
        downstream = plane.peer(
            PeerEvents(self, primary=primary_is_subscriber, upstream=False, downstream=True),
            channels=CHANNELS,
        )
        return DualPc(
            upstream, downstream, self.publisher, self.subscriber, self.send, session_id,
            lambda: self.leave(DisconnectReason.MEDIA_FAILURE),
            named_anew if self.join.sdk in TELLS_ONCE else None,
        )

    # --- sending -----------------------------------------------------------------------------

    def send(self, **message: object) -> None:
        """Queue one `SignalResponse` field on the present socket."""
        self.socket.send(**message)

    def _send_token(self, token: str) -> None:
        self.send(refresh_token=token)

    def deliver(self, notice: Notice) -> None:
        """Take a notice of the room (`Connection`)."""
        match notice:
            case DataReceived(message=message):
                self.data.send(message)
            case SubscriptionStarted(subscription=subscription):
                self.pc.place(self.subscriber.start(subscription))
            case SubscriptionEnded(subscription=subscription):
                if leg := self.subscriber.end(subscription.track_sid):
                    self.pc.clear(leg)
            case SubscriptionSettingsChanged(subscription=subscription):
                self.subscriber.apply_settings(subscription)
            case SubscriptionAllowed():
                self._tell_allowed(notice)
            case MuteRequested(track_sid=sid, muted=muted):
                self.publisher.apply_mute(sid, muted)
                self.send(mute=rtc.MuteTrackRequest(sid=sid, muted=muted))
            case TrackRemoved(track_sid=sid):
                self.publisher.drop(sid, self.pc.publisher_peer)
                self.send(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=sid))
            case FirstSubscriber(publication=publication):
                self.send(track_subscribed=rtc.TrackSubscribed(track_sid=publication.sid))
            case _:
                self._broadcast(notice)

    def _broadcast(self, notice: Notice) -> None:
        encoded = self._broadcasts.encode(notice)
        if encoded is not None:
            self.socket.send_encoded(encoded, subject_of(notice))
        if isinstance(notice, ParticipantChanged) and notice.participant.sid == self.participant.sid:
            self._tokens.note_change()

    def _tell_allowed(self, notice: SubscriptionAllowed) -> None:
        self.send(
            subscription_permission_update=rtc.SubscriptionPermissionUpdate(
                participant_sid=notice.publisher_sid,
                track_sid=notice.track_sid,
                allowed=notice.allowed,
            )
        )

    def _codec_unsupported(self, track_sid: str) -> None:
        self.send(
            subscription_response=rtc.SubscriptionResponse(
                track_sid=track_sid, err=models.SE_CODEC_UNSUPPORTED
            )
        )

    # --- what the client does ------------------------------------------------------------------

    def add_track(self, request: rtc.AddTrackRequest) -> None:
        """The client is about to publish a track."""
        answer = self.publisher.add(request)
        if isinstance(answer, rtc.RequestResponse):
            self.send(request_response=answer)
            return
        self.send(
            track_published=rtc.TrackPublishedResponse(
                cid=request.cid, track=track_to_wire(answer)
            )
        )

    def subscribe(self, track_sids: Sequence[str], wanted: bool) -> None:
        """The client wants tracks, or wants them no longer. Raises `ResourceExhausted`."""
        participant = self.participant
        self.session.subscribe(participant.identity, track_sids, wanted)
        if wanted is participant.auto_subscribe:
            self._exceptions.difference_update(track_sids)
        else:
            self._exceptions.update(track_sids)
        self._exceptions &= participant.wanted.keys()  # those of tracks that ended are gone

    def sync(self, state: rtc.SyncState) -> None:
        """Apply what a resuming client says it has: subscriptions, disabled tracks, data seen."""
        identity = self.participant.identity
        subscription = state.subscription
        sids = [
            *subscription.track_sids,
            *(sid for p in subscription.participant_tracks for sid in p.track_sids),
        ]
        disabled = state.track_sids_disabled
        seen = state.datachannel_receive_states
        if max(len(sids), len(disabled), len(seen)) > MAX_LISTED:
            raise InvalidArgument(f"a state names more than {MAX_LISTED} tracks or participants")
        # the message lists the exceptions from auto-subscribe: `subscribe` says which way
        self.subscribe(sids, subscription.subscribe)
        usual = self.participant.auto_subscribe
        if state.HasField("subscription") and subscription.subscribe is not usual:
            # one it no longer lists it took back, in words that the old socket lost
            self.subscribe(list(self._exceptions.difference(sids)), usual)
        for sid in disabled:
            if there := self.participant.subscriptions.get(sid):
                self.session.set_track_settings(
                    identity, sid, replace(there.settings, disabled=True)
                )
        # a client that keeps no such numbers (Go) would take what is replayed for new packets
        if seen:
            self.data.replay({s.publisher_sid: s.last_seq for s in seen})

    # --- the transports and the end ----------------------------------------------------------

    def transport_connected(self) -> None:
        """The primary transport is up: media can flow."""
        self._ever_connected = True
        if self.session.is_live(self.participant):
            self.session.activate(self.participant.identity)

    def transport_lost(self) -> None:
        """A transport ended. A client that says goodbye closes it first: its word may follow."""
        if self._goodbye is None:
            self._goodbye = asyncio.get_running_loop().call_later(
                GOODBYE_S, self.leave, DisconnectReason.CONNECTION_TIMEOUT
            )

    def socket_lost(self, socket: SignalSocket) -> None:
        """The reading loop of a socket ended; while the transport lives the client may resume."""
        if socket is self.socket and not self._ever_connected:
            self.leave(DisconnectReason.SIGNAL_CLOSE)

    def leave(self, reason: DisconnectReason) -> None:
        """Take this participant out of the room, soon."""
        self.session.remove_soon(self.participant, reason)

    def fail(self, problem: str) -> None:
        """The client broke the protocol: it is told and leaves, the room goes on."""
        if not self.session.is_live(self.participant):
            return  # it is on its way out, whatever else it says
        log.warning(
            "client broke the protocol",
            extra={"problem": problem, "participant": self.participant.sid},
        )
        # at once: its socket closes as soon as nobody reads it any more
        self._tell_to_leave(DisconnectReason.UNKNOWN_REASON)
        self.leave(DisconnectReason.UNKNOWN_REASON)

    def _tell_to_leave(self, reason: DisconnectReason) -> None:
        if not self._told_to_leave:
            self._told_to_leave = True
            self.send(leave=leave_request(reason))

    def may_update(self, size: int) -> bool:
        """Whether the client may change its metadata already, to so many bytes for each reader."""
        now = self.services.clock.monotonic()
        readers = len(self.session.connections)
        return self._updates.take(now) and self.services.may_broadcast(
            self.session, size * readers, now
        )

    async def close(self, reason: DisconnectReason) -> None:
        """Tell the client why and free everything (`Connection`)."""
        self._tokens.stop()
        self.pc.close()
        if self._goodbye:
            self._goodbye.cancel()
        if reason is not DisconnectReason.CLIENT_INITIATED:
            self._tell_to_leave(reason)
        peers: set[WirePeer] = {self.pc.publisher_peer, self.pc.subscriber_peer}
        await asyncio.gather(
            self.socket.close(), *(peer.close(reason.name.lower()) for peer in peers)
        )


def leave_request(reason: DisconnectReason) -> rtc.LeaveRequest:
    """What a client is told when it is to go, and whether to come back."""
    again = reason in _RECONNECT
    return rtc.LeaveRequest(
        can_reconnect=again,
        reason=int(reason),  # type: ignore[arg-type]
        action=rtc.LeaveRequest.RECONNECT if again else rtc.LeaveRequest.DISCONNECT,
    )
