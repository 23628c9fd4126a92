"""Server-chosen identifiers (SIDs): a prefix and twelve random letters and digits."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits

ROOM, PARTICIPANT, TRACK = "RM_", "PA_", "TR_"
EGRESS, INGRESS, TRUNK, DISPATCH_RULE, CALL = "EG_", "IN_", "ST_", "SDR_", "SCL_"
WORKER, JOB, DISPATCH = "AW_", "AJ_", "AD_"
EVENT, NODE, DATA_TRACK = "EV_", "ND_", "DTR_"


def random_text(length: int) -> str:
    """Return `length` random letters and digits from the system's secure source."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_sid(prefix: str) -> str:
    """Return a new SID such as `RM_x7Q…`; 71 bits of randomness behind the prefix."""
    return prefix + random_text(12)
