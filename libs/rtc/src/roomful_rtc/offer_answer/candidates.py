"""Candidates as they are trickled over signalling."""

from __future__ import annotations

import json

from roomful_rtc.candidate import Candidate


def candidate_init(candidate: Candidate | str, mid: str, index: int = 0, ufrag: str = "") -> str:
    """Render JSON for `TrickleRequest.candidateInit` (RTCIceCandidateInit).

    `mid` and `index` must name a section of the current description: clients ignore others.
    """
    init: dict[str, str | int] = {
        "candidate": str(candidate),
        "sdpMid": mid,
        "sdpMLineIndex": index,
    }
    if ufrag:
        init["usernameFragment"] = ufrag
    return json.dumps(init, separators=(",", ":"))
