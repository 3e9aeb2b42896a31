"""Results leave in sequence order."""

from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.utterances.ordering import InOrder


def test_the_next_in_turn_leaves_at_once() -> None:
    """What is ready in order does not wait."""
    order: InOrder[str] = InOrder()
    assert order.put(1, "one") == ["one"]
    assert order.put(2, "two") == ["two"]


def test_early_results_wait_for_those_before() -> None:
    """A result that is ready too early leaves right behind the one that it waited for."""
    order: InOrder[str] = InOrder()
    assert order.put(3, "three") == []
    assert order.put(2, "two") == []
    assert order.put(1, "one") == ["one", "two", "three"]


def test_a_hole_holds_back_only_what_is_behind_it() -> None:
    """Results before a missing one leave; those behind it wait."""
    order: InOrder[str] = InOrder()
    assert order.put(1, "one") == ["one"]
    assert order.put(3, "three") == []
    assert order.put(2, "two") == ["two", "three"]


def test_numbers_may_begin_anywhere() -> None:
    """A session that is taken up again goes on with its own."""
    order: InOrder[str] = InOrder(7)
    assert order.put(8, "eight") == []
    assert order.put(7, "seven") == ["seven", "eight"]


@given(st.permutations(range(1, 9)))
def test_any_order_in_one_order_out(sequences: list[int]) -> None:
    """Whatever order results are ready in, each leaves once, in order."""
    order: InOrder[int] = InOrder()
    left = [item for sequence in sequences for item in order.put(sequence, sequence)]
    assert left == sorted(sequences)
