"""A worker's log records become the server's; other output is kept for the post-mortem."""

from __future__ import annotations

import logging
import random

import pytest

from roomful_media.worker_log import LINE_BYTES, SEPARATOR, WorkerLogHandler, WorkerOutput

LOGGER = "roomful_media.worker_log"


@pytest.fixture
def output(caplog) -> WorkerOutput:
    caplog.set_level(logging.DEBUG)
    return WorkerOutput({"egress": "EG_1", "job": "JB_1"})


def line(message="hello", *, level=logging.INFO, exc_info=None, **extra) -> bytes:
    logger = logging.getLogger("roomful_media.encode")
    record = logger.makeRecord(
        logger.name, level, "f.py", 1, message, (), exc_info, extra=extra or None
    )
    return WorkerLogHandler(2).line(record)


def test_record_arrives_with_its_fields_and_the_jobs(output, caplog):
    output.feed(line(level=logging.WARNING, codec="h264", pii_name="Zoë", job="other"), 0)

    record = caplog.records[0]
    assert (record.levelname, record.getMessage(), record.name) == ("WARNING", "hello", LOGGER)
    assert (record.codec, record.pii_name, record.worker_logger) == (
        "h264",
        "Zoë",
        "roomful_media.encode",
    )
    assert (record.egress, record.job) == ("EG_1", "JB_1")


def test_trace_comes_along(output, caplog):
    try:
        raise ValueError("inner")
    except ValueError as error:
        output.feed(line(exc_info=(ValueError, error, error.__traceback__)), 0)

    assert "ValueError: inner" in caplog.records[0].trace
    assert "ValueError: inner" in output.tail


def test_record_in_pieces_is_one(output, caplog):
    for byte in line("in pieces"):
        output.feed(bytes((byte,)), 0)

    assert [record.getMessage() for record in caplog.records] == ["in pieces"]


def test_text_is_nobodys_record_but_kept(output, caplog):
    output.feed(b"[h264] concealing\n" + line("between") + b"half a li", 0)

    assert len(caplog.records) == 1
    assert output.tail == "[h264] concealing\nINFO between\nhalf a li"


def test_last_four_kibibytes_are_kept(output):
    for number in range(1000):
        output.feed(b"line %d\n" % number, 0)

    assert len(output.tail) == 4096
    assert output.tail.endswith("line 999\n")


def test_line_without_end_is_cut(output):
    output.feed(b"x" * (3 * LINE_BYTES), 0)
    output.feed(b"y" * 10, 0)

    assert output.tail.endswith("x\n" + "y" * 10)
    assert len(output._partial) == 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"[]",
        b"[" * 5000,
        b'{"level":"high","message":5,"fields":[],"trace":7}',
        b'{"level":99999,"fields":{"message":"x","msg":"x","Name":"x","a b":"x","args":1}}',
        b'{"fields":{"deep":[[1]],"none":null,"exc_info":true,"levelno":3,"stack_info":"x"}}',
        b'{"message":"forged\\nline \\ud800"}',
    ],
)
def test_line_that_claims_to_be_a_record_does_no_harm(output, caplog, body):
    output.feed(SEPARATOR + body + b"\n", 0)
    output.feed(line("after"), 0)

    assert caplog.records[-1].getMessage() == "after"
    assert isinstance(output.tail, str)


def test_record_is_bounded():
    written = line("m" * 100_000, **{f"field_{number}": "v" * 10_000 for number in range(100)})

    assert len(written) < 2 * LINE_BYTES


def test_too_many_records_are_counted_instead(output, caplog):
    for _ in range(1000):
        output.feed(line("again"), 0)
    output.feed(line("later"), 10)

    assert len(caplog.records) == 202
    assert caplog.records[-2].lines == 800
    assert caplog.records[-1].getMessage() == "later"


def test_mutated_lines_do_no_harm(output, caplog):
    chance, original = random.Random("20240117 log"), line(codec="h264", exc_info=None)
    for number in range(2000):
        data = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(1, len(data) - 1)] = chance.choice(b'"{}[]:,\\u0x\x00\xff\n')
        output.feed(bytes(data), number)
    output.feed(b"\n", 2000)

    assert len(output.tail.encode()) < 3 * 4096
