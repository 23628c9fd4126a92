import pytest

from roomful_rtc.keyframes import MAX_TRIES, KeyFrameRequests


def sent(requests: KeyFrameRequests, until: float) -> list[float]:
    """Walk through the due times up to `until`; when a request goes out."""
    times: list[float] = []
    while requests.due is not None and requests.due <= until:
        now = requests.due
        if requests.take(now):
            times.append(now)
    return times


def test_the_first_request_goes_out_at_once():
    requests = KeyFrameRequests()
    requests.ask(5.0)
    assert requests.take(5.0)


@pytest.mark.parametrize(("spatial", "interval"), [(0, 0.5), (1, 0.75), (2, 1.0), (7, 1.0)])
def test_a_second_request_waits_for_the_interval_of_its_layer(spatial: int, interval: float):
    requests = KeyFrameRequests(spatial)
    requests.ask(10.0)
    requests.take(10.0)
    requests.arrived()

    requests.ask(10.1)

    assert requests.due == pytest.approx(10.0 + interval)
    assert not requests.take(10.0 + interval - 0.01)
    assert requests.take(10.0 + interval)


def test_a_thousand_who_ask_cause_one_request_per_interval():
    requests = KeyFrameRequests()
    count = 0
    for step in range(1000):
        now = step * 0.002
        requests.ask(now)
        count += requests.take(now)
        if requests.due is not None and count and step % 100 == 0:
            requests.arrived()
    assert count <= 2.0 / 0.5 + 1


def test_without_a_key_frame_it_is_asked_for_again_after_800_ms():
    requests = KeyFrameRequests()
    requests.ask(0.0)
    assert sent(requests, 0.9) == [0.0, 0.8]


def test_a_key_frame_ends_the_asking():
    requests = KeyFrameRequests()
    requests.ask(0.0)
    requests.take(0.0)

    requests.arrived()

    assert requests.due is None
    assert not requests.take(5.0)


def test_a_dead_stream_is_asked_a_few_times_only():
    requests = KeyFrameRequests()
    requests.ask(0.0)
    assert len(sent(requests, 1000.0)) == MAX_TRIES


def test_a_new_wish_revives_a_stream_that_was_given_up():
    requests = KeyFrameRequests()
    requests.ask(0.0)
    sent(requests, 100.0)

    requests.ask(200.0)

    assert requests.take(200.0)
