"""What is answered when Windows is about to end the process, and that it takes the answer."""

import signal

import pytest

from wernicke_daemon.commands.closing_console import ANSWER_S, DRAIN_S, answer, stopped_with_console

CTRL_C, CTRL_BREAK, CLOSE, LOGOFF, SHUTDOWN = 0, 1, 2, 5, 6


@pytest.mark.parametrize("event", [CLOSE, LOGOFF, SHUTDOWN])
def test_a_console_that_is_closed_stops_the_daemon_in_a_hurry(event: int) -> None:
    """It is not answered before there was time for that: the process is ended with the answer."""
    done: list[tuple[str, float]] = []
    assert answer(event, lambda s: done.append(("stop", s)), lambda s: done.append(("wait", s)))
    assert done == [("stop", DRAIN_S), ("wait", ANSWER_S)]


@pytest.mark.parametrize("event", [CTRL_C, CTRL_BREAK])
def test_keys_are_signals(event: int) -> None:
    """Which Python handles."""
    assert not answer(event, lambda s: pytest.fail("stopped"), lambda s: pytest.fail("waited"))


def test_there_is_time_for_an_end_in_order() -> None:
    """Windows waits 5 s; a stop takes 2 s beyond the drain (docs/reliability.md)."""
    assert DRAIN_S + 2.0 < ANSWER_S < 5.0


def test_the_handler_is_set_and_taken_away_again() -> None:
    """On Windows; nowhere does it change what signals do."""
    before = signal.getsignal(signal.SIGINT)
    with stopped_with_console(lambda seconds: None):
        assert signal.getsignal(signal.SIGINT) is before
