"""Which one goes when there are too many."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.wire.fairness import oldest_of_busiest_address

FLOOD, GOOD = "192.0.2.1", "192.0.2.2"


def test_few_all_stay() -> None:
    assert oldest_of_busiest_address(dict.fromkeys(range(3), FLOOD), 3) is None


def test_a_flood_ends_its_own_oldest() -> None:
    """Not the one that has waited longest of all: that one comes from elsewhere."""
    assert oldest_of_busiest_address({1: GOOD, 2: FLOOD, 3: FLOOD, 4: GOOD, 5: FLOOD}, 4) == 2


def test_many_addresses_lose_the_oldest_of_all() -> None:
    assert oldest_of_busiest_address({number: f"192.0.2.{number}" for number in range(5)}, 4) == 0


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.integers(1, 20))
def test_whoever_has_most_loses_one(addresses: list[str], most: int) -> None:
    """In any order of arrival: no more stay than may, the newest among them, and nobody has more than the loser had."""
    waiting: dict[int, str] = {}
    for number, address in enumerate(addresses):
        waiting[number] = address
        ended = oldest_of_busiest_address(waiting, most)
        if ended is not None:
            numbers = Counter(waiting.values())
            assert numbers[waiting.pop(ended)] == max(numbers.values())
        assert len(waiting) <= most
        assert number in waiting
