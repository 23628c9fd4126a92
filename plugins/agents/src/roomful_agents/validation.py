"""What dispatches, registrations and answers may hold; errors name what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from livekit.protocol import agent_dispatch

from roomful.api.texts import check_attributes, check_metadata
from roomful.bounds import IDENTITY_BYTES, METADATA_BYTES, NAME_BYTES
from roomful.errors import InvalidArgument
from roomful.model.events import RoomOptions
from roomful_agents.dispatcher import MAX_DISPATCHES
from roomful_agents.job import DispatchSpec
from roomful_agents.words import RestartPolicy

DispatchRequest = agent_dispatch.CreateAgentDispatchRequest | agent_dispatch.RoomAgentDispatch


def spec_of(message: DispatchRequest) -> DispatchSpec:
    """Return what a request or a room's options ask for. Raises `InvalidArgument`."""
    check_text("agent_name", message.agent_name)
    check_text("deployment", message.deployment)
    check_metadata(message.metadata)
    attributes = dict(message.attributes)
    check_attributes(attributes)
    try:
        policy = RestartPolicy(message.restart_policy)
    except ValueError as error:
        raise InvalidArgument(f"restart_policy {message.restart_policy} is not known") from error
    return DispatchSpec(
        message.agent_name, message.metadata, attributes, message.deployment, policy
    )


def specs_of(options: RoomOptions) -> list[DispatchSpec]:
    """Return the dispatches that a room's options ask for. Raises `InvalidArgument`."""
    if len(options.agents) > MAX_DISPATCHES:
        raise InvalidArgument(f"agents: {len(options.agents)} dispatches, at most {MAX_DISPATCHES}")
    specs = [_room_spec(number, agent) for number, agent in enumerate(options.agents, 1)]
    # options are part of every event of the room
    if sum(_size(spec) for spec in specs) > METADATA_BYTES:
        raise InvalidArgument(f"agents: dispatches together exceed {METADATA_BYTES} bytes")
    return specs


def _size(spec: DispatchSpec) -> int:
    texts = [spec.agent_name, spec.metadata, spec.deployment]
    texts += [text for pair in spec.attributes.items() for text in pair]
    return sum(len(text.encode()) for text in texts)


def _room_spec(number: int, agent: Mapping[str, object]) -> DispatchSpec:
    message = agent_dispatch.RoomAgentDispatch()
    fields: dict[str, Any] = dict(agent)
    try:
        ParseDict(fields, message, ignore_unknown_fields=True)
        return spec_of(message)
    except (ParseError, InvalidArgument) as error:
        raise InvalidArgument(f"agents: dispatch {number}: {error}") from error


def check_text(what: str, text: str, limit: int = NAME_BYTES) -> None:
    """Raise `InvalidArgument` for a text that is too long or holds control characters."""
    if len(text.encode()) > limit:
        raise InvalidArgument(f"{what} exceeds limits: max length {limit} bytes")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InvalidArgument(f"{what} holds control characters")


def check_identity(identity: str) -> None:
    """Raise `InvalidArgument` for an identity that cannot join."""
    if not identity:
        raise InvalidArgument("participant_identity is empty")
    check_text("participant_identity", identity, IDENTITY_BYTES)
