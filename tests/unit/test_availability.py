"""Which stages an utterance may count on: down, failed, shed, or an LLM that keeps timing out."""

import pytest

from ipc.messages import StageName
from wernicke_daemon.dispatch.availability import UNAVAILABLE, Availability
from wernicke_daemon.dispatch.llm_breaker import PROBE_EVERY_S, TRIPS_AFTER
from wernicke_daemon.dispatch.overload import OVERLOADED
from wernicke_daemon.dispatch.stage_port import OPTIONAL, REQUIRED

AFTER_S = 20.0
DOWN_LIMIT_S = 120.0


def available(now: float = 0.0) -> Availability:
    """All stages up."""
    made = Availability(AFTER_S, DOWN_LIMIT_S, now)
    for stage in (*REQUIRED, *OPTIONAL):
        made.up(stage, "real")
    return made


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
