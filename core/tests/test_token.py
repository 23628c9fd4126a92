"""Access tokens: what is accepted, what is refused and why, what a refreshed one says."""

import base64
import json
from dataclasses import dataclass, replace

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomful.auth.claims import ClaimRules
from roomful.auth.keys import KeyRing
from roomful.auth.token import TOKEN_BYTES, Tokens, fingerprint
from roomful.errors import Unauthenticated
from roomful.model.enums import ParticipantKind, TrackSource
from roomful.model.events import RoomOptions
from roomful.model.permission import Permission

NOW = 1_800_000_000
KEY, SECRET = "key", "a secret of at least thirty-two bytes"


@dataclass
class StoppedClock:
    now: int = NOW

    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return self.now * 1000


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def tokens(clock) -> Tokens:
    return Tokens({KEY: SECRET}, clock=clock)


def signed(claims=None, *, secret=SECRET, headers=None, algorithm="HS256", **more) -> str:
    full = {"iss": KEY, "sub": "alice", "exp": NOW + 600, **(claims or {}), **more}
    full = {name: value for name, value in full.items() if value is not None}
    return jwt.encode(full, secret, algorithm=algorithm, headers=headers)


def by_hand(header: object, payload: object) -> str:
    parts = (json.dumps(part).encode() for part in (header, payload))
    return (
        ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + ".c2ln"
    )


async def test_every_grant_is_read(tokens):
    video = {
        "roomCreate": True,
        "roomList": True,
        "roomRecord": True,
        "roomAdmin": True,
        "roomJoin": True,
        "room": "main",
        "canPublish": False,
        "canSubscribe": True,
        "canPublishData": False,
        "canPublishSources": ["camera", "screen_share_audio"],
        "canUpdateOwnMetadata": True,
        "ingressAdmin": True,
        "hidden": True,
        "recorder": True,
        "agent": True,
        "canSubscribeMetrics": True,
        "destinationRoom": "other",
    }

    grants = await tokens.verify(
        signed(
            video=video,
            sip={"admin": True, "call": True},
            name="Alice",
            metadata="m",
            attributes={"a": "b"},
            kind="agent",
            sha256="hash",
            roomPreset="p",
        )
    )

    assert grants == replace(
        grants,
        issuer=KEY,
        identity="alice",
        name="Alice",
        metadata="m",
        attributes={"a": "b"},
        kind=ParticipantKind.AGENT,
        expires_at=NOW + 600,
        room="main",
        room_join=True,
        room_create=True,
        room_list=True,
        room_record=True,
        room_admin=True,
        ingress_admin=True,
        sip_admin=True,
        sip_call=True,
        hidden=True,
        recorder=True,
        agent=True,
        destination_room="other",
        can_publish=False,
        can_subscribe=True,
        can_publish_data=False,
        can_update_own_metadata=True,
        can_subscribe_metrics=True,
        can_publish_sources=(TrackSource.CAMERA, TrackSource.SCREEN_SHARE_AUDIO),
        room_preset="p",
        sha256="hash",
        internal_grant=False,
    )


async def test_absent_permissions_stay_unsaid(tokens):
    grants = await tokens.verify(signed(video={"roomJoin": True, "room": "main"}))

    assert (grants.can_publish, grants.can_subscribe, grants.can_publish_data) == (None,) * 3
    assert grants.permission == Permission()


async def test_room_config_becomes_room_options(tokens):
    config = {"emptyTimeout": 60, "maxParticipants": 2, "metadata": "m", "newField": 1}

    grants = await tokens.verify(signed(roomConfig=config))

    assert grants.room_config == RoomOptions(empty_timeout_s=60, max_participants=2, metadata="m")


async def test_what_a_room_config_leaves_out_is_the_operators(clock):
    rules = ClaimRules(RoomOptions(empty_timeout_s=7, departure_timeout_s=8, max_participants=9))
    tokens = Tokens({KEY: SECRET}, clock=clock, rules=rules)

    grants = await tokens.verify(signed(roomConfig={"emptyTimeout": 60}))

    assert grants.room_config == RoomOptions(
        empty_timeout_s=60, departure_timeout_s=8, max_participants=9
    )


@pytest.mark.parametrize(
    "egress",
    [
        {"room": {"fileOutputs": [{"filepath": "a", "s3": {"secret": "s"}}]}},
        {"room": {"segmentOutputs": [{"gcp": {"credentials": "{}"}}]}},
        {"participant": {"fileOutputs": [{"azure": {"accountKey": "k"}}]}},
        {"tracks": {"filepath": "a", "aliOSS": {"secret": "s"}}},
    ],
)
async def test_storage_credentials_in_a_token_are_refused_naming_profiles(tokens, egress):
    with pytest.raises(Unauthenticated, match="name a storage profile"):
        await tokens.verify(signed(roomConfig={"egress": egress}))


async def test_storage_credentials_in_a_token_can_be_allowed(clock):
    lenient = Tokens({KEY: SECRET}, clock=clock, rules=ClaimRules(allow_credentials=True))
    egress = {"room": {"fileOutputs": [{"filepath": "a", "s3": {"bucket": "b"}}]}}

    grants = await lenient.verify(signed(roomConfig={"egress": egress}))

    assert grants.room_config is not None
    assert grants.room_config.egress == egress


async def test_egress_that_names_a_profile_is_accepted(tokens):
    egress = {"room": {"fileOutputs": [{"filepath": "archive:calls/a.mp4"}]}}

    grants = await tokens.verify(signed(roomConfig={"egress": egress}))

    assert grants.room_config is not None
    assert grants.room_config.egress == egress


async def test_key_of_a_plugin_is_accepted(clock):
    async def find(key: str) -> str | None:
        return {"tenant": SECRET}.get(key)

    tokens = Tokens({}, find, clock)

    assert (await tokens.verify(signed(iss="tenant"))).issuer == "tenant"
    with pytest.raises(Unauthenticated, match="'nobody' is not known here"):
        await tokens.verify(signed(iss="nobody"))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "no JSON web token"),
        ("abc", "no JSON web token"),
        ("a.b.c", "no JSON web token"),
        ("x" * (TOKEN_BYTES + 1), "longer than 16384 bytes"),
        (by_hand({"alg": "none"}, {"iss": KEY, "exp": NOW + 9}), "algorithm is not HS256"),
        (by_hand({"alg": "RS256"}, {"iss": KEY, "exp": NOW + 9}), "algorithm is not HS256"),
        (by_hand({"alg": "HS256"}, [1]), "no JSON web token"),
        (by_hand({"alg": "HS256"}, {"exp": NOW + 9}), "iss, the API key, is missing"),
        (by_hand({"alg": "HS256"}, {"iss": 5, "exp": NOW + 9}), "iss, the API key, is missing"),
        (signed(algorithm="HS512"), "algorithm is not HS256"),
        (signed(headers={"crit": ["x"], "x": 1}), "invalid token"),
        (signed(headers={"b64": False}), "invalid token"),
        (signed(secret="another secret that is long enough"), "signature does not match"),
        (signed(iss="nokey"), "'nokey' is not known here"),
        (signed(exp=None), "claim exp is missing"),
        (signed(exp=NOW - 61), "expired"),
        (signed(exp=str(NOW + 600)), "claim exp is no time"),
        (signed(exp=True), "claim exp is no time"),
        (signed(exp=1e300), "claim exp is out of range"),
        (signed(nbf=NOW + 61), "not valid yet"),
        (signed(nbf="soon"), "claim nbf is no time"),
        (signed(sub=5), "registered claim is malformed"),
        (signed(video=[1]), "claim video is not an object"),
        (signed(video={"roomJoin": "yes"}), "claim video.roomJoin is neither true nor false"),
        (signed(video={"room": 5}), "claim room is not a text"),
        (signed(video={"canPublishSources": "camera"}), "canPublishSources is not a list"),
        (signed(video={"canPublishSources": ["cam"]}), "names 'cam'; known are unknown, camera"),
        (signed(name=5), "claim name is not a text"),
        (signed(attributes={"a": 5}), "the value of 'a' is not a text"),
        (signed(attributes={"sip.phoneNumber": "1"}), "set by the SIP transport alone"),
        (signed(roomConfig="x"), "claim roomConfig is not an object"),
        (signed(roomConfig={"emptyTimeout": "x"}), "no room configuration"),
    ],
)
async def test_bad_token_is_refused_saying_what_is_wrong(tokens, token, reason):
    with pytest.raises(Unauthenticated) as refused:
        await tokens.verify(token)

    assert reason in refused.value.message
    assert SECRET not in refused.value.message
    assert not token or token not in refused.value.message


@pytest.mark.parametrize("claims", [{"exp": NOW - 59}, {"nbf": NOW + 59}, {"exp": NOW + 0.5}])
async def test_clocks_may_differ_by_a_minute(tokens, claims):
    assert (await tokens.verify(signed(**claims))).identity == "alice"


@pytest.mark.parametrize("headers", [{"kid": "../../x"}, {"jku": "http://a"}, {"x5u": "http://a"}])
async def test_header_that_names_another_key_is_not_looked_at(tokens, headers):
    assert (await tokens.verify(signed(headers=headers))).identity == "alice"


async def test_token_of_16_kib_is_read(tokens):
    short = signed(metadata="")
    filled = signed(metadata="m" * ((TOKEN_BYTES - len(short)) // 4 * 3 - 3))

    assert len(filled) > TOKEN_BYTES - 16
    assert (await tokens.verify(filled)).identity == "alice"


async def test_unknown_kind_is_an_ordinary_participant(tokens):
    assert (await tokens.verify(signed(kind="hologram"))).kind is ParticipantKind.STANDARD


@settings(deadline=None)
@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
async def test_any_text_is_refused_with_our_own_error(text):
    tokens = Tokens({KEY: SECRET}, clock=StoppedClock())

    with pytest.raises(Unauthenticated):
        await tokens.verify(text)


@settings(deadline=None)
@given(
    payload=st.dictionaries(
        st.sampled_from(["iss", "exp", "sub", "video", "sip", "attributes", "roomConfig", "kind"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just(KEY),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["room", "roomJoin", "egress", "tags"]), inner)
            ),
            max_leaves=6,
        ),
    )
)
async def test_any_signed_payload_gives_grants_or_our_own_error(payload):
    tokens = Tokens({KEY: SECRET}, clock=StoppedClock())
    token = jwt.api_jws.encode(json.dumps(payload).encode(), SECRET, algorithm="HS256")

    try:
        grants = await tokens.verify(token)
    except Unauthenticated:
        return
    assert grants.issuer == KEY


class TestRefresh:
    async def test_repeats_the_claims_with_what_is_true_now(self, tokens):
        original = await tokens.verify(
            signed(
                kind="agent",
                custom={"x": 1},
                roomConfig={"emptyTimeout": 5},
                video={"roomJoin": True, "room": "main", "canPublish": True, "roomAdmin": True},
            )
        )

        text = await tokens.refresh(
            original,
            name="New",
            metadata="m2",
            attributes={"a": "c", "sip.callID": "x"},
            permission=Permission(can_publish=False, can_publish_sources=(TrackSource.CAMERA,)),
        )
        again = await tokens.verify(text)

        assert (again.identity, again.name, again.metadata) == ("alice", "New", "m2")
        assert (again.room, again.room_join, again.room_admin) == ("main", True, True)
        assert again.permission == Permission(
            can_publish=False, can_publish_sources=(TrackSource.CAMERA,)
        )
        assert again.attributes == {"a": "c"}
        assert again.kind is ParticipantKind.AGENT
        assert again.claims["custom"] == {"x": 1}
        assert again.room_config is None

    @pytest.mark.parametrize(("rest", "ttl"), [(60, 600), (3600, 3600), (-30, 600)])
    async def test_lives_ten_minutes_or_the_rest_of_the_original(self, tokens, rest, ttl):
        original = await tokens.verify(signed(exp=NOW + rest))

        text = await tokens.refresh(
            original, name="", metadata="", attributes={}, permission=Permission()
        )

        assert (await tokens.verify(text)).expires_at == NOW + ttl

    async def test_key_that_is_gone_gives_no_token(self, tokens, clock):
        original = await tokens.verify(signed())

        with pytest.raises(Unauthenticated, match="not known here"):
            await Tokens({}, clock=clock).refresh(
                original, name="", metadata="", attributes={}, permission=Permission()
            )


def test_secrets_never_show():
    ring = KeyRing({KEY: SECRET})

    assert SECRET not in repr(ring)
    assert SECRET not in repr(vars(ring))
    assert len(fingerprint("token")) == 8
