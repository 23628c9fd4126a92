"""The command says what is wrong with what it was told."""

import pytest

from roomful_testing.replay.__main__ import main


def test_loop_that_cannot_be_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ws://127.0.0.1:9", "token", "--loop", "60", "--no-audio"]) == 1
    assert "a loop of 60 s" in capsys.readouterr().err


def test_nothing_to_send_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ws://127.0.0.1:9", "token", "--video", "none", "--no-audio"]) == 1
    assert "neither video nor audio" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["640", "axb", ""])
def test_size_that_is_none_is_told(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ws://127.0.0.1:9", "token", "--size", size])
    assert "--size" in capsys.readouterr().err
