"""Dependency descriptors: built here bit by bit from the specification, read by the module."""

from __future__ import annotations

import pytest

from roomful.errors import RemoteProtocolError
from roomful_rtc.dependency_descriptor import DescriptorReader, starts_sequence


class Bits:
    """Writes bit fields."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, *fields: tuple[int, int]) -> Bits:
        for value, bits in fields:
            self.text += f"{value:0{bits}b}"
        return self

    def data(self) -> bytes:
        padded = self.text + "0" * (-len(self.text) % 8)
        return int(padded, 2).to_bytes(len(padded) // 8, "big")


def l1t2_key(frame: int = 1, template: int = 5, active: int | None = None) -> bytes:
    """A key frame's descriptor: one spatial layer, two temporal, two decode targets, one chain."""
    bits = Bits().put((1, 1), (1, 1), (template, 6), (frame, 16))
    bits.put((1, 1), (active is not None, 1), (0, 1), (0, 1), (0, 1))
    bits.put((5, 6), (1, 5))
    bits.put((0, 2), (1, 2), (3, 2))  # three templates: T0, T0, T1
    bits.put((2, 2), (2, 2), (2, 2), (2, 2), (0, 2), (1, 2))
    bits.put((0, 1), (1, 1), (1, 4), (0, 1), (1, 1), (0, 4), (0, 1))
    bits.put((1, 1), (0, 1))  # ns(3): one chain, without a further bit needed
    bits.put((0, 4), (2, 4), (1, 4))
    bits.put((1, 1), (1279, 16), (719, 16))
    if active is not None:
        bits.put((active, 2))
    return bits.data()


def test_a_structure_is_read() -> None:
    found = DescriptorReader().read(l1t2_key())
    structure = found.structure
    assert structure is not None
    assert (structure.offset, structure.decode_targets, structure.chains) == (5, 2, 1)
    assert [(t.spatial, t.temporal) for t in structure.templates] == [(0, 0), (0, 0), (0, 1)]
    assert [t.indications for t in structure.templates] == [(2, 2), (2, 2), (0, 1)]
    assert [t.frame_diffs for t in structure.templates] == [(), (2,), (1,)]
    assert [t.chain_diffs for t in structure.templates] == [(0,), (2,), (1,)]
    assert structure.protected_by == (0, 0)
    assert structure.resolutions == ((1280, 720),)
    assert (found.starts_frame, found.ends_frame, found.frame_number) == (True, True, 1)
    assert found.active_targets == 0b11


def test_later_frames_refer_to_the_templates() -> None:
    reader = DescriptorReader()
    reader.read(l1t2_key())
    found = reader.read(Bits().put((1, 1), (0, 1), (7, 6), (2, 16)).data())
    assert (found.template.temporal, found.frame_number, found.structure) == (1, 2, None)
    assert (found.starts_frame, found.ends_frame) == (True, False)


def test_frames_may_state_their_own_fields() -> None:
    reader = DescriptorReader()
    reader.read(l1t2_key())
    bits = Bits().put((1, 1), (1, 1), (6, 6), (3, 16))
    bits.put((0, 1), (1, 1), (1, 1), (1, 1), (1, 1), (0b01, 2))
    bits.put((3, 2), (0, 2), (2, 2), (200, 8), (0, 2), (9, 8))
    found = reader.read(bits.data())
    assert found.active_targets == 0b01
    assert found.template.indications == (3, 0)
    assert found.template.frame_diffs == (201,)
    assert found.template.chain_diffs == (9,)


def test_template_ids_wrap() -> None:
    reader = DescriptorReader()
    data = bytearray(l1t2_key())
    text = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"
    text = text[:2] + f"{63:06b}" + text[8:29] + f"{63:06b}" + text[35:]
    reader.read(int(text, 2).to_bytes(len(data), "big"))
    found = reader.read(Bits().put((1, 1), (1, 1), (1, 6), (2, 16)).data())
    assert found.template.temporal == 1


def test_a_descriptor_before_its_structure_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="before"):
        DescriptorReader().read(b"\xc5\x00\x01")


def test_an_unknown_template_is_refused_and_forgotten() -> None:
    reader = DescriptorReader()
    reader.read(l1t2_key())
    with pytest.raises(RemoteProtocolError, match="template"):
        reader.read(b"\xc0\x00\x01")
    assert reader.read(b"\xc5\x00\x02").frame_number == 2


@pytest.mark.parametrize("size", range(len(l1t2_key())))
def test_a_cut_off_descriptor_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError):
        DescriptorReader().read(l1t2_key()[:size])


def test_a_structure_marks_a_sequence() -> None:
    assert starts_sequence(l1t2_key())
    assert starts_sequence(l1t2_key(active=1))
    assert not starts_sequence(b"\xc5\x00\x01")
    assert not starts_sequence(b"\x45\x00\x01\x80")
    assert not starts_sequence(b"")
