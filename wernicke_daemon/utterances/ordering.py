"""Results leave in the order of their sequence numbers, whatever order they are ready in. Pure."""

from typing import Generic, TypeVar

T = TypeVar("T")


class InOrder(Generic[T]):
    """Numbers count from `first` without holes; each is put once."""

    def __init__(self, first: int = 1) -> None:
        self.next = first  # the number that leaves next
        self._waiting: dict[int, T] = {}

    def put(self, sequence: int, item: T) -> list[T]:
        """The items that may leave now, oldest first."""
        self._waiting[sequence] = item
        released = []
        while self.next in self._waiting:
            released.append(self._waiting.pop(self.next))
            self.next += 1
        return released
