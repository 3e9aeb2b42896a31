"""Which stages an utterance may count on: down, failed, shed, or an LLM that keeps timing out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipc.messages import StageName
from wernicke_daemon.dispatch.availability import (
    OVERLOADED,
    PROBE_EVERY_S,
    TRIPS_AFTER,
    UNAVAILABLE,
    Availability,
    Breaker,
    Shedding,
)
from wernicke_daemon.dispatch.stage_port import OPTIONAL, REQUIRED

AFTER_S = 20.0
DOWN_LIMIT_S = 120.0


def available(now: float = 0.0) -> Availability:
    """All stages up."""
    made = Availability(AFTER_S, DOWN_LIMIT_S, now)
    for stage in (*REQUIRED, *OPTIONAL):
        made.up(stage, "real")
    return made


def tripped(now: float) -> Breaker:
    breaker = Breaker()
    for _ in range(TRIPS_AFTER):
        breaker.too_late(now)
    return breaker


# --- the LLM's breaker -----------------------------------------------------------------------------


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


# --- shedding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0.0, 0), (AFTER_S - 0.1, 0), (AFTER_S, 1), (29.9, 1), (30.0, 2), (39.9, 2), (40.0, 3), (1e6, 3)],
)
def test_levels_begin_at_multiples(seconds: float, level: int) -> None:
    """1, 1.5 and 2 times the limit, reached in one step or in several."""
    shedding = Shedding(AFTER_S)
    assert shedding.behind(seconds) is (level > 0)
    assert shedding.level == level


def test_a_level_lasts_until_well_below_the_limit() -> None:
    """It does not flap around the limit: a level is kept until results are less than half of it behind."""
    shedding = Shedding(AFTER_S)
    shedding.behind(AFTER_S * 1.5)
    assert not shedding.behind(AFTER_S / 2)
    assert shedding.level == 2
    assert shedding.behind(AFTER_S / 2 - 0.1)
    assert shedding.level == 0


def test_correction_is_shed_before_speakers_and_text_never() -> None:
    """Level 1 leaves out no stage, 2 correction, 3 diarization too; what is accepted is always recognised."""
    stages: tuple[StageName, ...] = (*REQUIRED, *OPTIONAL)
    shed: list[set[StageName]] = []
    for factor in (0.0, 1.0, 1.5, 2.0):
        shedding = Shedding(AFTER_S)
        shedding.behind(AFTER_S * factor)
        shed.append({stage for stage in stages if shedding.sheds(stage)})
    assert shed == [set(), set(), {"correction"}, {"correction", "diarization"}]


@given(st.lists(st.floats(0, 100)))
def test_changes_are_told_and_nothing_else(ages: list[float]) -> None:
    """True exactly where the level differs from before; below half the limit it is always 0."""
    shedding = Shedding(AFTER_S)
    for seconds in ages:
        before = shedding.level
        assert shedding.behind(seconds) is (shedding.level != before)
        assert shedding.level == 0 or seconds >= AFTER_S / 2
        assert shedding.level >= (seconds >= AFTER_S) + (seconds >= 1.5 * AFTER_S) + (seconds >= 2 * AFTER_S)


# --- stages ----------------------------------------------------------------------------------------


def test_a_stage_is_up_between_up_and_down() -> None:
    """Before its first start it is not."""
    made = Availability(AFTER_S, DOWN_LIMIT_S, 0.0)
    assert not made.is_up("asr")
    made.up("asr", "real")
    assert made.is_up("asr")
    made.down("asr", False, 1.0)
    assert not made.is_up("asr")


@pytest.mark.parametrize("stage", REQUIRED)
def test_a_required_stage_is_given_up_after_its_limit(stage: StageName) -> None:
    """Not before, however it is called; and not any more once it is back."""
    made = available()
    made.down(stage, True, 100.0)
    assert not made.given_up(stage, 100.0 + DOWN_LIMIT_S)
    assert made.given_up(stage, 100.1 + DOWN_LIMIT_S)
    made.up(stage, "real")
    assert not made.given_up(stage, 1e6)


def test_an_outage_is_one_however_often_the_stage_dies_in_it() -> None:
    """A restart that dies again before it was up does not begin the limit anew."""
    made = available()
    made.down("asr", False, 0.0)
    made.down("asr", True, DOWN_LIMIT_S - 1.0)
    assert made.given_up("asr", DOWN_LIMIT_S + 0.1)


def test_one_that_never_came_up_is_given_up_too() -> None:
    """Its limit begins with the daemon."""
    made = Availability(AFTER_S, DOWN_LIMIT_S, 50.0)
    assert not made.given_up("asr", 50.0 + DOWN_LIMIT_S)
    assert made.given_up("asr", 50.1 + DOWN_LIMIT_S)


@pytest.mark.parametrize("stage", OPTIONAL)
def test_a_failed_optional_stage_is_skipped_until_it_is_up(stage: StageName) -> None:
    """One that is only restarting is waited for; one that has failed is not, whatever its further deaths are called."""
    made = available()
    made.down(stage, False, 0.0)
    assert made.reason_to_skip(stage, 0.0) is None
    made.down(stage, True, 1.0)
    made.down(stage, False, 2.0)
    assert made.reason_to_skip(stage, 3.0) == UNAVAILABLE[stage]
    made.up(stage, "real")
    assert made.reason_to_skip(stage, 4.0) is None


def test_an_engine_that_is_none_is_not_used() -> None:
    """What is configured away is no reason for a warning; another engine at the next start is used again."""
    made = available()
    made.up("correction", "none")
    assert not made.uses("correction")
    assert made.reason_to_skip("correction", 0.0) is None
    made.up("correction", "ollama")
    assert made.uses("correction")


def test_reasons_are_told_apart() -> None:
    """Overload and a missing stage give different warnings; a missing one stays missing under load."""
    made = available()
    made.shedding.behind(AFTER_S * 2)
    assert made.reason_to_skip("correction", 0.0) == OVERLOADED
    assert made.reason_to_skip("diarization", 0.0) == OVERLOADED
    made.down("diarization", True, 0.0)
    assert made.reason_to_skip("diarization", 0.0) == UNAVAILABLE["diarization"]


def test_the_breaker_is_the_llms_alone() -> None:
    """Speakers are still found while the LLM is left alone."""
    made = available()
    for _ in range(TRIPS_AFTER):
        made.breaker.too_late(0.0)
    assert made.reason_to_skip("correction", 1.0) == UNAVAILABLE["correction"]
    assert made.reason_to_skip("diarization", 1.0) is None


def test_an_utterance_that_is_shed_is_no_probe() -> None:
    """The one try in a while is kept for an utterance that really asks the LLM."""
    made = available()
    for _ in range(TRIPS_AFTER):
        made.breaker.too_late(0.0)
    made.shedding.behind(AFTER_S * 2)
    assert made.reason_to_skip("correction", PROBE_EVERY_S) == OVERLOADED
    made.shedding.behind(0.0)
    assert made.reason_to_skip("correction", PROBE_EVERY_S) is None
