"""Where a connection stands, whatever happens to it and in whatever order."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.gateway.connection import READING, State

FIRST_TWO = {State.RECEIVING, State.TAKING}


@given(st.lists(st.sampled_from(State)))
def test_it_only_goes_on_but_between_the_first_two(happenings: list[State]) -> None:
    """Reading begins and ends with each frame; nothing else is ever taken back."""
    state = State.TAKING
    for happening in happenings:
        before, state = state, state.then(happening)
        assert state >= before or {before, state} == FIRST_TWO
        assert state in (before, happening)


@pytest.mark.parametrize(("state", "happening"), list(product(State, State)))
def test_the_later_of_two_is_what_counts(state: State, happening: State) -> None:
    """Whichever came first."""
    if {state, happening} != FIRST_TWO:
        assert state.then(happening) is max(state, happening)


def test_frames_are_turned_between_receiving_and_taking() -> None:
    assert State.TAKING.then(State.RECEIVING) is State.RECEIVING
    assert State.RECEIVING.then(State.TAKING) is State.TAKING


def test_what_a_client_sent_before_it_was_gone_is_taken() -> None:
    """But not of one whose session is in other hands, or while this side stops."""
    assert {State.RECEIVING, State.TAKING, State.GONE} == READING
    assert State.GONE.then(State.EVICTED) not in READING
