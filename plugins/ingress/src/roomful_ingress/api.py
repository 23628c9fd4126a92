"""`livekit.Ingress`: definitions from outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from livekit.protocol import ingress, models

from roomful.api.service import RpcMethod, RpcService
from roomful.auth.grants import Grants
from roomful.errors import InvalidArgument, Unimplemented
from roomful.ids import INGRESS, new_sid
from roomful_ingress.catalogue import PAGE, Catalogue
from roomful_ingress.definition import Definition, InputType, key_digest, new_stream_key
from roomful_ingress.inputs import Inputs
from roomful_ingress.sessions import Sessions
from roomful_ingress.state import State, Status
from roomful_ingress.validation import check_definition
from roomful_ingress.wire import (
    audio_from_wire,
    info_to_wire,
    input_type_from_wire,
    video_from_wire,
)

TEXTS = ("name", "room_name", "participant_identity", "participant_name", "participant_metadata")
"""fields of definitions that requests name alike; empty in an update means unchanged"""


class IngressService:
    """Handlers, one a method; the token was checked before."""

    def __init__(self, catalogue: Catalogue, sessions: Sessions, inputs: Inputs) -> None:
        self._catalogue, self._sessions, self._inputs = catalogue, sessions, inputs

    def service(self) -> RpcService:
        """All methods by name."""
        info = ingress.IngressInfo
        return RpcService(
            "livekit.Ingress",
            {
                "CreateIngress": RpcMethod(
                    ingress.CreateIngressRequest, info, "ingress", self.create
                ),
                "UpdateIngress": RpcMethod(
                    ingress.UpdateIngressRequest, info, "ingress", self.update
                ),
                "ListIngress": RpcMethod(
                    ingress.ListIngressRequest,
                    ingress.ListIngressResponse,
                    "ingress",
                    self.list_ingress,
                ),
                "DeleteIngress": RpcMethod(
                    ingress.DeleteIngressRequest, info, "ingress", self.delete
                ),
            },
        )

    async def create(
        self, request: ingress.CreateIngressRequest, grants: Grants
    ) -> ingress.IngressInfo:
        """Define an ingress with a new stream key."""
        kind = input_type_from_wire(request.input_type)
        if kind is InputType.URL:
            _check_pull(request)
        self._inputs.require(kind)
        if request.url:
            raise InvalidArgument(f"url: {kind.name}_INPUT is given one, it does not take one")
        transcoding = _transcoding(request)
        if request.bypass_transcoding:
            _check_bypass(kind)
            transcoding = False
        key = new_stream_key()
        definition = Definition(
            new_sid(INGRESS), kind, key, key_digest(key),
            enable_transcoding=transcoding,
            enabled=request.enabled if request.HasField("enabled") else None,
            audio=audio_from_wire(request.audio) if request.HasField("audio") else None,
            video=video_from_wire(request.video) if request.HasField("video") else None,
            **{name: getattr(request, name) for name in TEXTS},
        )  # fmt: skip
        check_definition(definition)
        _check_offered(definition)
        await self._catalogue.put(definition)
        return await self._answer(definition)

    async def update(
        self, request: ingress.UpdateIngressRequest, grants: Grants
    ) -> ingress.IngressInfo:
        """Change what is given; a session that runs takes what can change while it runs."""
        was = await self._catalogue.get(_named(request.ingress_id))
        changes: dict[str, Any] = {name: text for name in TEXTS if (text := getattr(request, name))}
        if request.HasField("audio"):
            changes["audio"] = audio_from_wire(request.audio)
        if request.HasField("video"):
            changes["video"] = video_from_wire(request.video)
        if request.HasField("enabled"):
            changes["enabled"] = request.enabled
        if request.HasField("bypass_transcoding"):
            if request.bypass_transcoding:
                _check_bypass(was.input_type)
            changes["enable_transcoding"] = not request.bypass_transcoding
        if (transcoding := _transcoding(request)) is not None:
            changes["enable_transcoding"] = transcoding
        definition = replace(was, **changes)
        check_definition(definition)
        _check_offered(definition)
        await self._catalogue.put(definition)
        if (session := self._sessions.live(definition.ingress_id)) is not None:
            session.redefine(definition)
        elif (await self._catalogue.state(definition.ingress_id)).status is Status.ERROR:
            await self._forgive(definition.ingress_id)
        return await self._answer(definition)

    async def list_ingress(
        self, request: ingress.ListIngressRequest, grants: Grants
    ) -> ingress.ListIngressResponse:
        """All ingresses, those of a room, or one."""
        if request.ingress_id:
            found = [await self._catalogue.get(request.ingress_id)]
            if request.room_name and found[0].room_name != request.room_name:
                found = []
        else:
            found = await self._catalogue.page(request.room_name, request.page_token.token)
        answer = ingress.ListIngressResponse(items=[await self._answer(one) for one in found])
        if len(found) == PAGE:
            answer.next_page_token.CopyFrom(models.TokenPagination(token=found[-1].ingress_id))
        return answer

    async def delete(
        self, request: ingress.DeleteIngressRequest, grants: Grants
    ) -> ingress.IngressInfo:
        """Forget an ingress; its publisher is cut off."""
        definition = await self._catalogue.get(_named(request.ingress_id))
        # first the definition: the publisher may come back at once
        await self._catalogue.delete(definition.ingress_id)
        await self._sessions.stop(definition.ingress_id, "the ingress was deleted")
        await self._catalogue.delete(definition.ingress_id)
        state = State(definition.ingress_id)
        return info_to_wire(definition, state, self._inputs.url(definition))

    async def _answer(self, definition: Definition) -> ingress.IngressInfo:
        session = self._sessions.live(definition.ingress_id)
        state = await self._sessions.state(definition)
        tracks = session.tracks if session else ()
        return info_to_wire(definition, state, self._inputs.url(definition), tracks)

    async def _forgive(self, ingress_id: str) -> None:
        was = await self._catalogue.state(ingress_id)
        await self._catalogue.put_state(replace(was, status=Status.INACTIVE, error=""))


def _named(ingress_id: str) -> str:
    if not ingress_id:
        raise InvalidArgument("ingress_id cannot be empty")
    return ingress_id


def _transcoding(
    request: ingress.CreateIngressRequest | ingress.UpdateIngressRequest,
) -> bool | None:
    return request.enable_transcoding if request.HasField("enable_transcoding") else None


def _check_offered(definition: Definition) -> None:
    if definition.input_type is InputType.WHIP and definition.transcodes:
        raise Unimplemented("WHIP_INPUT: transcoding is not offered; media is forwarded as it is")


def _check_bypass(kind: InputType) -> None:
    if kind is not InputType.WHIP:
        raise InvalidArgument(
            f"bypass_transcoding is for WHIP_INPUT; {kind.name}_INPUT has enable_transcoding"
        )


def _check_pull(request: ingress.CreateIngressRequest) -> None:
    """What a pull needs, said before that nothing here pulls."""
    scheme, separator, rest = request.url.partition("://")
    if not separator or not rest or scheme.lower() not in ("http", "https", "srt"):
        raise InvalidArgument("url: URL_INPUT needs one of http, https or srt")
    if not request.room_name:
        raise InvalidArgument("room_name: URL_INPUT starts at once and needs one")
    if request.HasField("enabled") and not request.enabled:
        raise InvalidArgument("enabled: URL_INPUT starts at once and cannot be disabled")
    if request.HasField("enable_transcoding") and not request.enable_transcoding:
        raise InvalidArgument("enable_transcoding: URL_INPUT is always transcoded")
