"""Access tokens: HS256 JWTs (RFC 7519, RFC 8725) to grants, and grants to new tokens.

Rules: 16 KiB at most; `alg` is HS256 and nothing else; a header that needs an extension we don't
know (`crit`, `b64`) is refused, one that names where to find a key (`jku`, `x5u`, `kid`) is not
looked at; `iss` must be a known key before anything is verified; `exp` is required; clocks may
differ by a minute. Errors say what was wrong with the token and repeat neither it nor the secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import jwt

from roomful.auth.claims import ClaimRules, grants_from_claims, video_of
from roomful.auth.grants import Grants
from roomful.auth.keys import FindSecret, KeyRing
from roomful.clock import Clock, SystemClock
from roomful.errors import InvalidArgument, Unauthenticated
from roomful.model.permission import Permission

TOKEN_BYTES = 16 * 1024
LEEWAY_S = 60
REFRESH_TTL_S = 600
"""a refreshed token lives at least this long"""

_ALGORITHM = "HS256"
_NEVER_REPEATED = ("roomConfig", "sha256", "nbf", "iat", "jti")


class TokenVerifier:
    """Turns the text of a token into grants."""

    def __init__(
        self, keys: KeyRing, clock: Clock | None = None, rules: ClaimRules | None = None
    ) -> None:
        self._keys = keys
        self._clock = clock or SystemClock()
        self._rules = rules or ClaimRules()

    async def verify(self, token: str) -> Grants:
        """Return the grants of a valid token; raise `Unauthenticated` saying what is wrong."""
        issuer = _issuer(token)
        secret = await self._keys.secret(issuer)
        if secret is None:
            raise Unauthenticated(f"invalid API key: {issuer[:64]!r} is not known here")
        claims = _verified(token, secret)
        self._check_times(claims)
        try:
            return grants_from_claims(claims, self._rules)
        except InvalidArgument as error:
            raise Unauthenticated(f"invalid token: {error.message}") from error

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.wall_ms() / 1000
        if _time(claims, "exp") <= now - LEEWAY_S:
            raise Unauthenticated("invalid token: it has expired")
        if "nbf" in claims and _time(claims, "nbf") > now + LEEWAY_S:
            raise Unauthenticated("invalid token: it is not valid yet (nbf)")


class TokenIssuer:
    """Makes tokens signed by a key of this server."""

    def __init__(self, keys: KeyRing, clock: Clock | None = None) -> None:
        self._keys = keys
        self._clock = clock or SystemClock()

    async def issue(self, api_key: str, claims: Mapping[str, object], *, ttl_s: int) -> str:
        """Return a token with these claims, valid from now on for `ttl_s` seconds.

        Raises `Unauthenticated` when the key is not known (any more).
        """
        secret = await self._keys.secret(api_key)
        if secret is None:
            raise Unauthenticated(f"invalid API key: {api_key[:64]!r} is not known here")
        now = self._clock.wall_ms() // 1000
        stamped = {**claims, "iss": api_key, "nbf": now, "exp": now + ttl_s}
        return jwt.encode(stamped, secret, algorithm=_ALGORITHM)

    async def refresh(
        self,
        grants: Grants,
        *,
        name: str,
        metadata: str,
        attributes: Mapping[str, str],
        permission: Permission,
    ) -> str:
        """Return a token that repeats the claims with what is true of the participant now.

        It lives for 10 minutes or the rest of the original, whichever is longer. Options of the
        room are never repeated, nor are attributes that only a transport may set.
        """
        claims = {k: v for k, v in grants.claims.items() if k not in _NEVER_REPEATED}
        video = claims.get("video")
        before = cast("dict[str, object]", video) if isinstance(video, dict) else {}
        claims |= {
            "sub": grants.identity,
            "name": name,
            "metadata": metadata,
            "attributes": {k: v for k, v in attributes.items() if not k.startswith("sip.")},
            "video": {**before, **video_of(permission)},
        }
        rest = grants.expires_at - self._clock.wall_ms() // 1000
        return await self.issue(grants.issuer, claims, ttl_s=max(REFRESH_TTL_S, rest))


class Tokens(TokenVerifier, TokenIssuer):
    """What a server carries as `server.tokens`: verifies, issues and refreshes."""

    def __init__(
        self,
        keys: KeyRing | Mapping[str, str],
        find_api_secret: FindSecret | None = None,
        clock: Clock | None = None,
        rules: ClaimRules | None = None,
    ) -> None:
        ring = keys if isinstance(keys, KeyRing) else KeyRing(keys, find_api_secret)
        TokenVerifier.__init__(self, ring, clock, rules)


def fingerprint(token: str) -> str:
    """Return what logs may say of a token: the first 8 hex digits of its hash."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()[:8]


def _issuer(token: str) -> str:
    """Return who claims to have signed; nothing of the token is proved yet."""
    if len(token) > TOKEN_BYTES:
        raise Unauthenticated(f"invalid token: it is longer than {TOKEN_BYTES} bytes")
    try:
        unproved = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, json.JSONDecodeError, ValueError, RecursionError) as error:
        raise Unauthenticated("invalid token: it is no JSON web token") from error
    _check_header(unproved["header"])
    issuer = cast("dict[str, object]", unproved["payload"]).get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise Unauthenticated("invalid token: claim iss, the API key, is missing")
    return issuer


def _check_header(header: Mapping[str, object]) -> None:
    if header.get("alg") != _ALGORITHM:
        raise Unauthenticated(f"invalid token: its algorithm is not {_ALGORITHM}")
    for name in ("crit", "b64"):
        if name in header:
            raise Unauthenticated(f"invalid token: header {name} is not supported")


def _verified(token: str, secret: str) -> dict[str, Any]:
    """Return the claims; times are compared by the caller, with the server's own clock."""
    try:
        return jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            options={
                "require": ["exp", "iss"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
            },
        )
    except jwt.InvalidSignatureError as error:
        raise Unauthenticated("invalid token: its signature does not match the key") from error
    except jwt.MissingRequiredClaimError as error:
        raise Unauthenticated(f"invalid token: claim {error.claim} is missing") from error
    except jwt.InvalidTokenError as error:
        raise Unauthenticated("invalid token: a registered claim is malformed") from error


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(f"invalid token: claim {name} is no time")
    # Beyond the range of a double's whole numbers a time means nothing; NaN fails every comparison.
    if not abs(value) < 2**53:
        raise Unauthenticated(f"invalid token: claim {name} is out of range")
    return float(value)
