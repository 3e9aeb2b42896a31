"""How values are spread, in memory that does not grow with their number. Pure."""

import math
from collections import Counter

GROWTH = 1.05
"""From the limit of one bucket to that of the next: what is read off is within 2.5 %."""
LEAST = 0.1
"""Limit of the first bucket: less is of no interest in milliseconds."""

_STEP = math.log(GROWTH)


def bucket_of(value: float) -> int:
    return 0 if value <= LEAST else math.ceil(math.log(value / LEAST) / _STEP)


def middle_of(bucket: int) -> float:
    """What stands for all values of a bucket."""
    return 0.0 if bucket == 0 else LEAST * GROWTH ** (bucket - 0.5)


class Histogram:
    """Values from 0 on, in buckets of the same ratio."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()  # by bucket
        self.total = 0.0  # of all values
        self.most = 0.0  # the largest

    def add(self, value: float) -> None:
        self.counts[bucket_of(value)] += 1
        self.total += value
        self.most = max(self.most, value)

    def merge(self, other: "Histogram") -> None:
        self.counts.update(other.counts)
        self.total += other.total
        self.most = max(self.most, other.most)

    def __len__(self) -> int:
        return self.counts.total()

    @property
    def mean(self) -> float | None:
        return self.total / len(self) if self.counts else None

    def quantile(self, share: float) -> float | None:
        """The value that so many of all (0 to 1) do not exceed; None without values."""
        if not self.counts:
            return None
        wanted, seen = share * len(self), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(middle_of(bucket), self.most)
        return self.most
