"""How many connections may be open without a session, and which is cut when there are more."""

from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.gateway.connection_limit import ConnectionLimit

FLOOD, GOOD = "192.0.2.1", "192.0.2.2"


def test_one_too_many_and_the_oldest_of_the_flood_is_cut() -> None:
    """The newest is taken in, and the one from elsewhere stays."""
    limit: ConnectionLimit[int] = ConnectionLimit(3, set)
    cut = [limit.opened(number, GOOD if number == 0 else FLOOD) for number in range(5)]
    assert cut == [None, None, None, 1, 2]
    assert list(limit) == [0, 3, 4]


def test_those_in_a_session_neither_count_nor_are_cut() -> None:
    limit = ConnectionLimit(1, lambda: {0, 1})
    assert [limit.opened(number, FLOOD) for number in range(4)] == [None, None, None, 2]
    assert list(limit) == [0, 1, 3]


def test_what_has_closed_counts_no_more() -> None:
    """However often that is said."""
    limit: ConnectionLimit[int] = ConnectionLimit(1, set)
    limit.opened(0, FLOOD)
    limit.closed(0)
    limit.closed(0)
    assert limit.opened(1, FLOOD) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.booleans())), st.integers(1, 4))
def test_never_more_than_may_be_open(events: list[tuple[int, str, bool]], most: int) -> None:
    """Whoever comes and goes, in any order."""
    limit: ConnectionLimit[tuple[int, int]] = ConnectionLimit(most, set)
    for turn, (number, address, opens) in enumerate(events):
        if opens:
            assert limit.opened((turn, number), address) != (turn, number)
        else:
            for connection in [each for each in limit if each[1] == number]:
                limit.closed(connection)
        assert len(list(limit)) <= most
