"""Figures by the time they are of, in slots that grow wider as there are more of them. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from wernicke_daemon.tuning.histogram import Histogram

MOST_SLOTS = 240
FIRST_WIDTH_S = 15.0
LONGEST_WORK_S = 600.0
"""Nobody's log makes slots for more than this at once."""


@dataclass
class Slot:
    """latency_ms: of results that left in it. worked_ms: by stage, of its work on results. ended: processes of stages
    that ended unasked."""

    latency_ms: Histogram = field(default_factory=Histogram)
    worked_ms: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    ended: int = 0

    def merge(self, other: "Slot") -> None:
        self.latency_ms.merge(other.latency_ms)
        for stage, milliseconds in other.worked_ms.items():
            self.worked_ms[stage] += milliseconds
        self.ended += other.ended


class Timeline:
    """Where nothing happens there is no slot, so that nights and wrong clocks cost none."""

    def __init__(self, most: int = MOST_SLOTS) -> None:
        self.width_s = FIRST_WIDTH_S
        self._most = most
        self._slots: dict[int, Slot] = {}  # by their start, in widths since 1970

    def at(self, time: float) -> Slot:
        """The slot of that time, in seconds since 1970. Not to be kept: the next call may widen all."""
        number = int(time // self.width_s)
        if number not in self._slots:
            self._slots[number] = Slot()
            while len(self._slots) > self._most:
                self._widen()
        return self._slots[int(time // self.width_s)]

    def worked(self, stage: str, start: float, end: float) -> None:
        """A stage was at work from then to then, in seconds since 1970."""
        start = max(start, end - LONGEST_WORK_S)
        while start < end:
            slot, ends = self.at(start), (start // self.width_s + 1) * self.width_s
            slot.worked_ms[stage] += 1000 * (min(end, ends) - start)
            start = ends

    def _widen(self) -> None:
        wider: dict[int, Slot] = {}
        for number, slot in self._slots.items():
            wider.setdefault(number // 2, Slot()).merge(slot)
        self.width_s *= 2
        self._slots = wider

    def __iter__(self) -> Iterator[tuple[float, Slot]]:
        """In order of time, with when they begin."""
        for number in sorted(self._slots):
            yield number * self.width_s, self._slots[number]
