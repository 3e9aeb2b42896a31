"""An LLM that is late several times in a row is left alone for a while."""

from wernicke_daemon.dispatch.llm_breaker import PROBE_EVERY_S, TRIPS_AFTER, Breaker


def tripped(now: float) -> Breaker:
    breaker = Breaker()
    for _ in range(TRIPS_AFTER):
        breaker.too_late(now)
    return breaker


def test_few_time_outs_do_not_trip() -> None:
    """One fewer than it takes, and the LLM is still asked."""
    breaker = Breaker()
    for _ in range(TRIPS_AFTER - 1):
        breaker.too_late(0.0)
    assert breaker.lets_through(0.0)


def test_time_outs_in_a_row_trip() -> None:
    """From then on the LLM is left alone."""
    assert not tripped(100.0).lets_through(100.0)
    assert not tripped(100.0).lets_through(100.0 + PROBE_EVERY_S - 0.1)


def test_an_answer_between_time_outs_begins_the_count_anew() -> None:
    """Only time-outs in a row count."""
    breaker = Breaker()
    for _ in range(TRIPS_AFTER - 1):
        breaker.too_late(0.0)
    breaker.answered()
    breaker.too_late(0.0)
    assert breaker.lets_through(0.0)


def test_one_utterance_at_a_time_tries_again() -> None:
    """After a while a single one is let through, and the next only a while later, should nothing be heard of it."""
    breaker = tripped(100.0)
    at = 100.0 + PROBE_EVERY_S
    assert breaker.lets_through(at)
    assert not breaker.lets_through(at)
    assert not breaker.lets_through(at + PROBE_EVERY_S - 0.1)
    assert breaker.lets_through(at + PROBE_EVERY_S)


def test_a_probe_that_times_out_keeps_it_shut() -> None:
    """The wait for the next one begins when it timed out."""
    breaker = tripped(100.0)
    assert breaker.lets_through(100.0 + PROBE_EVERY_S)
    late = 105.0 + PROBE_EVERY_S
    breaker.too_late(late)
    assert not breaker.lets_through(late + PROBE_EVERY_S - 0.1)
    assert breaker.lets_through(late + PROBE_EVERY_S)


def test_a_probe_that_is_answered_opens_it() -> None:
    """Everything goes through again, at once."""
    breaker = tripped(100.0)
    assert breaker.lets_through(100.0 + PROBE_EVERY_S)
    breaker.answered()
    assert all(breaker.lets_through(101.0 + PROBE_EVERY_S) for _ in range(3))
