"""The calls about peers: addresses, keys, ways out, what was negotiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roomful.errors import ResourceExhausted
from roomful_rtc import extensions
from roomful_rtc.engine import Address, Codec
from roomful_rtc.py_engine.extension_set import ExtensionSet
from roomful_rtc.py_engine.rows import Peer, nowhere
from roomful_rtc.py_engine.srtp import Context
from roomful_rtc.py_engine.state import EngineState

MAX_ADDRESSES = 16
MAX_EXTENSION_SETS = 256
KINDS = frozenset(extensions.URIS)


class PeerCalls(EngineState):
    """A part of `PyEngine`."""

    def add_peer(self, addr: Address) -> int:
        """Enter a peer by its validated address; `ValueError` when another one holds it."""
        if len(self._peers) >= self._limits.peers:
            raise ResourceExhausted("the engine's table of peers is full")
        self._claim(addr, None)
        peer = Peer(next(self._handles), addr, self._extension_set({}))
        self._peers[peer.handle] = peer
        self._intake.by_addr[addr] = peer
        self._route(peer)
        return peer.handle

    def allow(self, peer: int, addr: Address) -> None:
        """Accept packets from one more validated address of this peer."""
        row = self._peers[peer]
        self._claim(addr, row)
        if addr not in row.addresses and len(row.addresses) >= MAX_ADDRESSES:
            raise ResourceExhausted("this peer has too many addresses")
        row.addresses.add(addr)
        self._intake.by_addr[addr] = row

    def disallow(self, peer: int, addr: Address) -> None:
        """Accept nothing more from an address of this peer; unknown ones are ignored."""
        row = self._peers[peer]
        if addr in row.addresses:
            row.addresses.remove(addr)
            del self._intake.by_addr[addr]

    def _claim(self, addr: Address, peer: Peer | None) -> None:
        holder = self._intake.by_addr.get(addr)
        if holder is not None and holder is not peer:
            raise ValueError("another peer holds this address")

    def set_keys(self, peer: int, profile: str, rx_key: bytes, tx_key: bytes) -> None:
        """Give the SRTP master keys (key‖salt) once."""
        row = self._peers[peer]
        if row.rx is not None:
            raise ValueError("this peer has its keys")
        rx = Context(profile, rx_key, outgoing=False)
        row.tx_context = Context(profile, tx_key, outgoing=True)
        row.rx, row.tx = rx, row.tx_context.handle
        for down in row.downs.values():
            down.settle()

    def move_peer(self, peer: int, addr: Address) -> None:
        """Send to this address from now on; it is allowed with that."""
        self.allow(peer, addr)
        row = self._peers[peer]
        row.addr = addr
        self._route(row)

    def set_tcp(self, peer: int, write: Callable[[bytes], None] | None) -> None:
        """Send this peer's packets through `write` instead of the socket; None: back again."""
        row = self._peers[peer]
        row.write = write
        self._route(row)

    def _route(self, peer: Peer) -> None:
        write = peer.write
        if write is not None:
            peer.send = lambda data, to: write(bytes(data))
            return
        try:
            sock, peer.sockaddr = self._ways.to(peer.addr)
        except ValueError:
            # An address of another kind (ICE-TCP): nothing goes out until `set_tcp`.
            peer.send = nowhere
        else:
            peer.send = sock.sendto

    def set_extensions(self, peer: int, recv: Mapping[str, int], send: Mapping[str, int]) -> None:
        """Set the negotiated header extension ids (1 to 255), by kind."""
        row = self._peers[peer]
        for kind, number in (*recv.items(), *send.items()):
            if kind not in KINDS or not 0 < number < MAX_EXTENSION_SETS:
                raise ValueError(f"no extension {kind!r} with id {number}")
        row.set_recv_ids(dict(recv))
        row.twcc_id = recv.get(extensions.TWCC, 0)
        row.extensions = self._extension_set(send)
        self._intake.look_again(row)

    def _extension_set(self, send: Mapping[str, int]) -> ExtensionSet:
        key = tuple(sorted(send.items()))
        known = self._extension_sets.get(key)
        if known is None:
            known = ExtensionSet(send)
            if len(self._extension_sets) < MAX_EXTENSION_SETS:
                self._extension_sets[key] = known
        return known

    def set_codecs(self, peer: int, recv: Mapping[int, Codec]) -> None:
        """Set what the payload types mean that this peer sends."""
        row = self._peers[peer]
        if any(not 0 <= pt < 128 for pt in recv):
            raise ValueError("a payload type is out of range")
        row.codecs = dict(recv)
