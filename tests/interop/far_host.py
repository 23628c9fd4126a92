"""A second host on this machine: a network namespace with its own address, and a certificate."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class SecondHost:
    """Where the other host is, and the address at which it reaches this one."""

    namespace: str
    here: str
    there: str

    def command(self, *arguments: str) -> list[str]:
        """The command that runs `arguments` on the other host."""
        # `ip netns exec` would mount /sys anew, which it cannot where the root is a mere folder
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *arguments]

    def block_udp(self) -> None:
        """Let no UDP leave the other host, as the networks of some companies do."""
        for rule in (
            "add table inet block",
            "add chain inet block out { type filter hook output priority 0 ; }",
            f"add rule inet block out ip daddr {self.here} meta l4proto udp drop",
        ):
            _run(*self.command("nft", rule))


@contextmanager
def second_host() -> Iterator[SecondHost]:
    """Make a namespace and a cable to it; both are gone afterwards. Needs root."""
    number = os.getpid() % 200 + 20
    name, cable = f"rf{os.getpid()}", f"rfv{os.getpid() % 10_000}"
    host = SecondHost(name, f"10.199.{number}.1", f"10.199.{number}.2")
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", cable, "type", "veth", "peer", "name", "uplink", "netns", name)
        _run("ip", "address", "add", f"{host.here}/24", "dev", cable)
        _run("ip", "link", "set", cable, "up")
        _run(*host.command("ip", "address", "add", f"{host.there}/24", "dev", "uplink"))
        _run(*host.command("ip", "link", "set", "uplink", "up"))
        _run(*host.command("ip", "link", "set", "lo", "up"))
        # clients gather candidates only where there is a way out
        _run(*host.command("ip", "route", "add", "default", "via", host.here))
        yield host
    finally:
        _run("ip", "netns", "delete", name)  # its end of the cable goes with it, and so the cable


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: who vouches, the server's certificate, its key."""

    authority: Path
    certificate: Path
    key: Path


def make_certificate(folder: Path, address: str) -> Certificate:
    """A certificate for an address, signed by an authority of its own."""
    files = Certificate(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _signed("test authority", authority_key, None, authority_key)
    certificate = _signed(address, key, authority, authority_key)
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.touch(0o600)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """A certificate for a day: of an authority without `issuer`, else of a server."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
