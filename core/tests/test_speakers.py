"""Who is speaking."""

from roomful.model.speakers import SpeakerDetector


def hear(detector: SpeakerDetector, sid: str, dbov: int, share: float) -> None:
    for _ in range(4):
        detector.observe(sid, dbov, share)


def test_loud_voice_becomes_active_and_falls_silent_once():
    detector = SpeakerDetector()
    hear(detector, "PA_1", -20, 0.9)
    (first,) = detector.changes()
    assert first.active
    assert 0 < first.level <= 1

    told = [detector.changes() for _ in range(8)]

    assert not [c for c in told if c][-1][0].active
    assert told[-1] == ()


def test_noise_below_the_share_is_no_speaker():
    detector = SpeakerDetector()
    hear(detector, "PA_1", -20, 0.2)

    assert detector.changes() == ()


def test_loudest_comes_first():
    detector = SpeakerDetector()
    hear(detector, "PA_1", -30, 1.0)
    hear(detector, "PA_2", -5, 1.0)

    assert [s.participant_sid for s in detector.changes()] == ["PA_2", "PA_1"]


def test_forgotten_participant_is_not_told():
    detector = SpeakerDetector()
    hear(detector, "PA_1", -5, 1.0)
    detector.forget("PA_1")

    assert detector.changes() == ()


def test_speaker_who_left_is_told_to_be_silent_once():
    detector = SpeakerDetector()
    hear(detector, "PA_1", -5, 1.0)
    detector.changes()
    detector.forget("PA_1")

    assert [(s.participant_sid, s.level, s.active) for s in detector.changes()] == [
        ("PA_1", 0.0, False)
    ]
    assert detector.changes() == ()
