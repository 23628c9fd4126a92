"""What the token of an agent's participant says (`livekit-wire.md` 12, step 5)."""

from __future__ import annotations

from roomful.auth.claims import video_of
from roomful_agents.actions import Answer
from roomful_agents.worker import Registration

TTL_S = 3600
AGENT_NAME = "lk.agent_name"


def agent_claims(registration: Registration, room: str, answer: Answer) -> dict[str, object]:
    """Return the claims: who the worker said it will be, allowed what the worker registered."""
    return {
        "sub": answer.identity,
        "name": answer.name,
        "kind": "agent",
        "metadata": answer.metadata,
        "attributes": {**answer.attributes, AGENT_NAME: registration.agent_name},
        "video": {
            **video_of(registration.permission),
            "room": room,
            "roomJoin": True,
            "agent": True,
        },
    }
