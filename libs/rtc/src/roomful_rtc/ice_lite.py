"""ICE-lite agent of one peer (RFC 8445 with the lite role), sans-IO.

    check, integrity proved ─▶ address validated ─▶ USE-CANDIDATE selects it
    no check for 10 s ─▶ Disconnected ─▶ 5 s later ─▶ Failed;   a check in between ─▶ Reconnected

Rules:
- An address becomes valid by a proved check from it alone. A peer holds at most 8; the one checked
  longest ago that is not selected leaves. 30 s without a check expires one.
- The first valid address is sent to until one is nominated; the last USE-CANDIDATE wins, which
  covers aggressive nomination and a change of network.
- An address of a peer whose last check from there is younger than 10 s is not given to another.
- Restart: new credentials beside the old, which end with the first check that uses the new ones.
  The selected address stays until one is nominated with the new ones.
- Time is an argument: monotonic seconds. After a stall of the loop nobody is declared dead before
  the clients had time for one more check.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

Address = tuple[str, int]

MAX_ADDRESSES = 8
ADDRESS_EXPIRES_S = 30.0
OWNED_S = 10.0
DISCONNECTED_S = 10.0
FAILED_S = 15.0
CHECK_INTERVAL_S = 5.0
"""Longest pause between two checks of a healthy client."""

UFRAG_LENGTH, PWD_LENGTH = 8, 24
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Validated:
    """Packets from here are the peer's."""

    addr: Address


@dataclass(frozen=True, slots=True)
class Dropped:
    """Packets from here are the peer's no longer."""

    addr: Address


@dataclass(frozen=True, slots=True)
class Selected:
    """Send to this address from now on."""

    addr: Address


@dataclass(frozen=True, slots=True)
class Retired:
    """This local ufrag means the peer no longer."""

    ufrag: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """No check for 10 s."""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """A check after `Disconnected`."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No check for 15 s: the peer is gone."""


IceEvent = Validated | Dropped | Selected | Retired | Disconnected | Reconnected | Failed


@dataclass(frozen=True, slots=True)
class Credentials:
    """Local ufrag and password."""

    ufrag: str
    pwd: str


def new_credentials() -> Credentials:
    """Draw random ones (RFC 8445 5.3 asks for 24 and 128 bits at least)."""
    return Credentials(_random(UFRAG_LENGTH), _random(PWD_LENGTH))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class AddressTable:
    """Which agent holds which remote address; shared by all agents of a port."""

    def __init__(self) -> None:
        self._owner: dict[Address, IceLiteAgent] = {}

    def __len__(self) -> int:
        return len(self._owner)

    def owner(self, addr: Address) -> IceLiteAgent | None:
        """Return who holds the address."""
        return self._owner.get(addr)

    def may_claim(self, addr: Address, agent: IceLiteAgent, now: float) -> bool:
        """Tell whether nobody else has a fresh claim."""
        holder = self._owner.get(addr)
        return holder is None or holder is agent or now - holder.checked_at(addr) >= OWNED_S

    def claim(self, addr: Address, agent: IceLiteAgent) -> None:
        """Enter the agent; `may_claim` was asked and a former holder told to `lose` it."""
        self._owner[addr] = agent

    def release(self, addr: Address, agent: IceLiteAgent) -> None:
        """Forget the entry if it is this agent's."""
        if self._owner.get(addr) is agent:
            del self._owner[addr]


class IceLiteAgent:
    """The state of one peer. Methods return events in the order in which they happened."""

    def __init__(self, table: AddressTable) -> None:
        self._table = table
        self._current = new_credentials()
        self._former: Credentials | None = None
        self._checks: dict[Address, float] = {}
        self._last_check: float | None = None
        self._disconnected = False
        self.selected: Address | None = None

    @property
    def credentials(self) -> Credentials:
        """What the local description says."""
        return self._current

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Every ufrag that means this agent now."""
        former = self._former
        return (self._current.ufrag, former.ufrag) if former else (self._current.ufrag,)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Valid addresses."""
        return tuple(self._checks)

    def password(self, ufrag: str) -> str | None:
        """Return the password that belongs to a local ufrag, None if it is not this agent's."""
        for known in (self._current, self._former):
            if known is not None and known.ufrag == ufrag:
                return known.pwd
        return None

    def checked_at(self, addr: Address) -> float:
        """Return when the last check came from this valid address (-inf if it is not one)."""
        return self._checks.get(addr, float("-inf"))

    def may_check(self, addr: Address, now: float) -> bool:
        """Tell whether a check from there may be answered, see the rule of ownership."""
        return self._table.may_claim(addr, self, now)

    def check(
        self, ufrag: str, addr: Address, *, use_candidate: bool, now: float
    ) -> list[IceEvent]:
        """Take in a proved check; `may_check` was asked."""
        events: list[IceEvent] = []
        if self._former is not None and ufrag == self._current.ufrag:
            events.append(Retired(self._former.ufrag))
            self._former = None
        if addr not in self._checks:
            events += self._validate(addr)
        self._checks.pop(addr, None)
        self._checks[addr] = self._last_check = now
        if self._disconnected:
            self._disconnected = False
            events.append(Reconnected())
        if self.selected != addr and (use_candidate or self.selected is None):
            self.selected = addr
            events.append(Selected(addr))
        return events

    def _validate(self, addr: Address) -> list[IceEvent]:
        events: list[IceEvent] = []
        if len(self._checks) >= MAX_ADDRESSES:
            oldest = next(known for known in self._checks if known != self.selected)
            events.append(self._drop(oldest))
        self._table.claim(addr, self)
        events.append(Validated(addr))
        return events

    def _drop(self, addr: Address) -> IceEvent:
        self._checks.pop(addr, None)
        self._table.release(addr, self)
        return Dropped(addr)

    def lose(self, addr: Address) -> list[IceEvent]:
        """Give an address up: it belongs to another peer now, or its connection ended.

        If it was the selected one, the address checked last takes its place.
        """
        if addr not in self._checks:
            return []
        events = [self._drop(addr)]
        if self.selected == addr:
            self.selected = next(reversed(self._checks), None)
            if self.selected is not None:
                events.append(Selected(self.selected))
        return events

    def restart(self) -> list[IceEvent]:
        """Make new credentials; those of an unfinished restart before are gone at once."""
        if self._former is not None:
            retired: list[IceEvent] = [Retired(self._current.ufrag)]
            self._current = new_credentials()
            return retired
        self._former, self._current = self._current, new_credentials()
        return []

    def poll(self, now: float, *, stalled_at: float = float("-inf")) -> list[IceEvent]:
        """Let time pass; call about twice a second.

        Args:
            now: monotonic seconds.
            stalled_at: when the loop last ran again after it had stood still.
        """
        events: list[IceEvent] = [
            self._drop(addr)
            for addr, at in tuple(self._checks.items())
            if now - at >= ADDRESS_EXPIRES_S and addr != self.selected
        ]
        if self._last_check is None or now - stalled_at < CHECK_INTERVAL_S:
            return events
        silent = now - self._last_check
        if silent >= DISCONNECTED_S and not self._disconnected:
            self._disconnected = True
            events.append(Disconnected())
        if silent >= FAILED_S:
            events.append(Failed())
        return events

    def close(self) -> list[IceEvent]:
        """Give everything back."""
        events: list[IceEvent] = [self._drop(addr) for addr in tuple(self._checks)]
        events += [Retired(ufrag) for ufrag in self.ufrags]
        self.selected = None
        return events
