"""Log records as text and JSON: fields, context, personal data, forged lines."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from roomful.logs import configure_logging, log_fields

log = logging.getLogger("roomful.test")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


@pytest.fixture
def out(root: logging.Logger) -> io.StringIO:
    return io.StringIO()


def test_text_line_holds_message_and_fields(out: io.StringIO) -> None:
    configure_logging("text", "info", stream=out)

    log.info("started", extra={"port": 1, "url": "a b"})

    assert out.getvalue().endswith('Z INFO    roomful.test started port=1 url="a b"\n')


def test_json_line_holds_fields_of_record_and_context(out: io.StringIO) -> None:
    configure_logging("json", "info", stream=out)

    with log_fields(room="RM_1"), log_fields(participant="PA_1"):
        log.warning("left", extra={"reason": 3})

    entry = json.loads(out.getvalue())
    assert entry["level"] == "warning"
    assert (entry["room"], entry["participant"], entry["reason"]) == ("RM_1", "PA_1", 3)


def test_context_ends_with_its_block(out: io.StringIO) -> None:
    configure_logging("text", "info", stream=out)

    with log_fields(room="RM_1"):
        pass
    log.info("later")

    assert "RM_1" not in out.getvalue()


@pytest.mark.parametrize("style", ["text", "json"])
def test_personal_data_is_left_out_when_the_setting_says_so(out: io.StringIO, style: str) -> None:
    configure_logging(
        "json" if style == "json" else "text", "info", personal_data=False, stream=out
    )

    with log_fields(pii_identity="alice"):
        log.info("joined", extra={"pii_room": "secret plans", "room": "RM_1"})

    assert "RM_1" in out.getvalue()
    assert "alice" not in out.getvalue()
    assert "secret plans" not in out.getvalue()


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("hostile", ["a\nERROR forged", "a\r\x1b[31m", "a\u2028b", "a\x9bb"])
def test_strangers_text_cannot_forge_a_line(out: io.StringIO, style: str, hostile: str) -> None:
    configure_logging("json" if style == "json" else "text", "info", stream=out)

    log.info("joined", extra={"pii_identity": hostile})

    line, end = out.getvalue()[:-1], out.getvalue()[-1]
    assert end == "\n"
    assert not [c for c in line if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c == "\u2028"]


def test_message_of_an_exception_cannot_forge_a_line(out: io.StringIO) -> None:
    configure_logging("text", "info", stream=out)

    try:
        raise ValueError("x\n2026-01-01T00:00:00.000Z ERROR forged")
    except ValueError:
        log.exception("failed")

    assert [line for line in out.getvalue().splitlines() if line.startswith("2026-01-01")] == []
    assert "ValueError: x" in out.getvalue()


def test_field_cannot_replace_level_or_message(out: io.StringIO) -> None:
    configure_logging("json", "info", stream=out)

    with log_fields(level="none", message="none"):
        log.info("true")

    assert json.loads(out.getvalue())["message"] == "true"
    assert json.loads(out.getvalue())["level"] == "info"


def test_records_below_the_level_are_left_out(out: io.StringIO) -> None:
    configure_logging("text", "warning", stream=out)

    log.info("quiet")

    assert out.getvalue() == ""
