"""A session's life: which part follows on which, and what it ended by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.sessions.lifecycle import Lifecycle, SessionState

ORDER = list(SessionState)


@pytest.fixture
def life() -> Lifecycle:
    return Lifecycle()


def test_the_end_comes_in_steps(life: Lifecycle) -> None:
    """Asked for, reached, and over once every result is kept."""
    life.ask_to_end("stop")
    assert (life.state, life.takes_audio, life.ended_by) == (SessionState.ENDING, True, "stop")
    life.all_audio_is_in()
    assert (life.state, life.takes_audio, life.is_over) == (SessionState.ENDED, False, False)
    life.every_result_is_kept()
    assert (life.state, life.is_over, life.ended_by) == (SessionState.OVER, True, "stop")


def test_the_first_to_ask_for_the_end_counts(life: Lifecycle) -> None:
    """A line that breaks after its client's stop changes nothing."""
    life.ask_to_end("stop")
    life.ask_to_end("disconnect")
    life.all_audio_is_in()
    life.ask_to_end("disconnect")
    assert life.ended_by == "stop"


def test_an_end_that_was_not_reached_does_not_count(life: Lifecycle) -> None:
    """What a client sent before its stop is not all in: it may not take its results for complete."""
    life.ask_to_end("stop")
    life.abandon()
    assert (life.state, life.ended_by) == (SessionState.ABANDONED, "disconnect")


def test_an_end_that_was_reached_counts_though_results_are_missing(life: Lifecycle) -> None:
    life.ask_to_end("stop")
    life.all_audio_is_in()
    life.abandon()
    assert (life.state, life.ended_by) == (SessionState.ABANDONED, "stop")


@given(st.lists(st.sampled_from(["ask", "audio", "results", "abandon"])))
def test_nothing_leads_back(steps: list[str]) -> None:
    """Whatever happens in whatever order; what is over stays as it is, and an end always has its trigger."""
    life = Lifecycle()
    for step in steps:
        before = life.state
        match step:
            case "ask":
                life.ask_to_end("stop")
            case "audio":
                life.all_audio_is_in()
            case "results":
                life.every_result_is_kept()
            case "abandon":
                life.abandon()
        assert ORDER.index(life.state) >= ORDER.index(before)
        assert life.state is before or before not in (SessionState.OVER, SessionState.ABANDONED)
        assert (life.ended_by is None) == (life.state is SessionState.OPEN)
