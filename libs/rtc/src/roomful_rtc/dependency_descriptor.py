"""The dependency descriptor extension (AV1 RTP specification 1.0, appendix A), sans-IO.

The first packet of a key frame brings a template structure that later descriptors refer to, so a
stream has one `DescriptorReader`. Nothing is read beyond the value; nothing is built here, engines
pass descriptors on unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from roomful.errors import RemoteProtocolError

MANDATORY = 3
"""bytes of a descriptor without extended fields"""
MAX_TEMPLATES = 64

_START_OF_FRAME, _STRUCTURE_PRESENT = 0x80, 0x80
_NEXT_TEMPORAL, _NEXT_SPATIAL, _NO_MORE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Template:
    """What frames of one kind have in common."""

    spatial: int
    temporal: int
    indications: tuple[int, ...] = ()
    """per decode target: 0 not present, 1 discardable, 2 switch, 3 required"""
    frame_diffs: tuple[int, ...] = ()
    chain_diffs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """The templates of one coded video sequence."""

    offset: int
    """template id of the first template"""
    templates: tuple[Template, ...]
    decode_targets: int
    protected_by: tuple[int, ...] = ()
    """decode target → chain"""
    chains: int = 0
    resolutions: tuple[tuple[int, int], ...] = ()
    """(width, height) per spatial layer, when told"""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One packet's descriptor, with the template filled in."""

    starts_frame: bool
    ends_frame: bool
    frame_number: int
    """16 bit"""
    template: Template
    active_targets: int | None = None
    """bit mask of the decode targets in use, when this packet tells it"""
    structure: Structure | None = None
    """new with this packet"""


def starts_sequence(value: bytes) -> bool:
    """Say whether a frame begins here that brings a template structure: a key frame."""
    return (
        len(value) > MANDATORY
        and bool(value[0] & _START_OF_FRAME)
        and bool(value[MANDATORY] & _STRUCTURE_PRESENT)
    )


class _Bits:
    """Reads big-endian bit fields; `RemoteProtocolError` at the end of the value."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, bits: int) -> int:
        self._left -= bits
        if self._left < 0:
            raise RemoteProtocolError("dependency descriptor is cut off")
        return self._value >> self._left & (1 << bits) - 1

    def flag(self) -> bool:
        return bool(self.take(1))

    def below(self, limit: int) -> int:
        """Read a number below `limit` in the non-symmetric code, ns(n)."""
        bits = limit.bit_length()
        short = (1 << bits) - limit
        value = self.take(bits - 1)
        return value if value < short else (value << 1) - short + self.take(1)


class DescriptorReader:
    """Reads the descriptors of one stream."""

    __slots__ = ("_structure",)

    def __init__(self) -> None:
        self._structure: Structure | None = None

    def read(self, value: bytes) -> Descriptor:
        """Read one extension value.

        Raises:
            RemoteProtocolError: cut off, no structure came yet, or an unknown template.
        """
        bits = _Bits(value)
        starts, ends = bits.flag(), bits.flag()
        number, frame = bits.take(6), bits.take(16)
        fresh: Structure | None = None
        active: int | None = None
        own = (False, False, False)
        if len(value) > MANDATORY:
            has_structure, has_active = bits.flag(), bits.flag()
            own = (bits.flag(), bits.flag(), bits.flag())
            if has_structure:
                fresh = _structure(bits)
                active = (1 << fresh.decode_targets) - 1
            structure = fresh or self._known()
            if has_active:
                active = bits.take(structure.decode_targets)
        else:
            structure = self._known()
        place = (number - structure.offset) % MAX_TEMPLATES
        if place >= len(structure.templates):
            raise RemoteProtocolError("dependency descriptor names an unknown template")
        template = _own_fields(bits, structure, structure.templates[place], own)
        self._structure = structure
        return Descriptor(starts, ends, frame, template, active, fresh)

    def _known(self) -> Structure:
        if self._structure is None:
            raise RemoteProtocolError("dependency descriptor before its structure")
        return self._structure


def _own_fields(
    bits: _Bits, structure: Structure, template: Template, own: tuple[bool, bool, bool]
) -> Template:
    """Replace what this frame states itself."""
    if not any(own):
        return template
    indications, frame_diffs, chain_diffs = own
    return Template(
        template.spatial,
        template.temporal,
        tuple(bits.take(2) for _ in range(structure.decode_targets))
        if indications
        else template.indications,
        _own_frame_diffs(bits) if frame_diffs else template.frame_diffs,
        tuple(bits.take(8) for _ in range(structure.chains))
        if chain_diffs
        else template.chain_diffs,
    )


def _own_frame_diffs(bits: _Bits) -> tuple[int, ...]:
    diffs: list[int] = []
    while size := bits.take(2):
        diffs.append(bits.take(4 * size) + 1)
    return tuple(diffs)


def _structure(bits: _Bits) -> Structure:
    offset, targets = bits.take(6), bits.take(5) + 1
    layers = _layers(bits)
    indications = [tuple(bits.take(2) for _ in range(targets)) for _ in layers]
    frame_diffs = [_frame_diffs(bits) for _ in layers]
    chains = bits.below(targets + 1)
    protected = tuple(bits.below(chains) for _ in range(targets)) if chains else ()
    chain_diffs = [tuple(bits.take(4) for _ in range(chains)) for _ in layers]
    sizes: tuple[tuple[int, int], ...] = ()
    if bits.flag():
        sizes = tuple((bits.take(16) + 1, bits.take(16) + 1) for _ in range(layers[-1][0] + 1))
    templates = tuple(
        Template(spatial, temporal, *rest)
        for (spatial, temporal), *rest in zip(
            layers, indications, frame_diffs, chain_diffs, strict=True
        )
    )
    return Structure(offset, templates, targets, protected, chains, sizes)


def _layers(bits: _Bits) -> list[tuple[int, int]]:
    """Return (spatial, temporal) of each template."""
    layers = [(0, 0)]
    while (step := bits.take(2)) != _NO_MORE:
        spatial, temporal = layers[-1]
        if step == _NEXT_TEMPORAL:
            temporal += 1
        elif step == _NEXT_SPATIAL:
            spatial, temporal = spatial + 1, 0
        layers.append((spatial, temporal))
        if len(layers) > MAX_TEMPLATES:
            raise RemoteProtocolError("dependency descriptor has too many templates")
    return layers


def _frame_diffs(bits: _Bits) -> tuple[int, ...]:
    diffs: list[int] = []
    while bits.flag():
        diffs.append(bits.take(4) + 1)
    return tuple(diffs)
