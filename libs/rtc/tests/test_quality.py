import pytest

from roomful.model.enums import ConnectionQuality
from roomful_rtc.quality import Conditions, QualityScorer, score_of


@pytest.mark.parametrize(
    ("loss", "rtt_s", "quality"),
    [
        (0.0, 0.02, ConnectionQuality.EXCELLENT),
        (0.02, 0.1, ConnectionQuality.EXCELLENT),
        (0.08, 0.1, ConnectionQuality.GOOD),
        (0.0, 0.7, ConnectionQuality.GOOD),
        (0.2, 0.1, ConnectionQuality.POOR),
        (0.0, 2.0, ConnectionQuality.POOR),
    ],
)
def test_quality_follows_loss_and_round_trip(loss: float, rtt_s: float, quality: ConnectionQuality):
    reading = QualityScorer().read(
        Conditions(expected_up=1000, lost_up=int(1000 * loss), rtt_s=rtt_s)
    )
    assert reading.quality is quality


def test_the_worse_direction_counts():
    reading = QualityScorer().read(Conditions(expected_up=100, lost_up=0, loss_down=0.25))
    assert reading.quality is ConnectionQuality.POOR
    assert reading.loss_down == 0.25


def test_scores_stay_between_one_and_five():
    assert score_of(0, 0) == pytest.approx(5.0, abs=0.05)
    assert score_of(1.0, 10.0) == 1.0


def test_a_disconnected_peer_is_lost():
    reading = QualityScorer().read(Conditions(connected=False))
    assert (reading.quality, reading.score) == (ConnectionQuality.LOST, 1.0)


def test_quality_falls_at_once_and_recovers_step_by_step():
    scorer = QualityScorer()
    scorer.read(Conditions(connected=False))

    readings = [scorer.read(Conditions()).quality for _ in range(5)]

    assert readings[0] is ConnectionQuality.POOR
    assert readings[-1] is ConnectionQuality.EXCELLENT
    scorer.read(Conditions(expected_up=10, lost_up=3))
    assert scorer.read(Conditions(expected_up=10, lost_up=3)).quality is ConnectionQuality.POOR


def test_a_stream_stopped_by_congestion_is_poor_a_lowered_one_is_good():
    assert QualityScorer().read(Conditions(paused=True)).quality is ConnectionQuality.POOR
    assert QualityScorer().read(Conditions(degraded=True)).quality is ConnectionQuality.GOOD


def test_a_peer_without_traffic_is_excellent():
    assert QualityScorer().read(Conditions()).quality is ConnectionQuality.EXCELLENT
