"""When each piece of a file's audio is heard, by the file's own time stamps, and which stretches can't be. Pure."""

from dataclasses import dataclass

TOLERANCE_S = 0.1
"""How far audio may be from its time stamp: formats round them. FFmpeg's `aresample` fills holes from this length on
(its `min_hard_comp`)."""

_LONGEST_JUMP_S = 10.0
"""FFmpeg's `dts_delta_threshold`: in formats whose time stamps may begin anew within a file a longer jump is such a
beginning, not a hole. In others it is a hole, as far as the file is that long."""

_LONGEST_FILE_S = 30 * 3600.0
"""FFmpeg's `dts_error_threshold`: for files that do not say how long they are."""

_NOTABLE_S = 0.3
"""The lengths that files say they have are not more exact."""

DAMAGED = "INPUT_DAMAGED"
"""What is there can't be decoded."""

CUT_OFF = "INPUT_CUT_OFF"
"""The file ends before the length that it says it has."""

HOLE = "INPUT_HOLE"
"""The time stamps go on later: the recording paused, or FFmpeg went past what it could not read."""


@dataclass(frozen=True)
class Skipped:
    """A stretch without sound that could be read. start, end: seconds on the file's clock. reason: a code."""

    start: float
    end: float
    reason: str

    @property
    def seconds(self) -> float:
        return self.end - self.start


class FileClock:
    """Is told each piece in order. Where time stamps go back, or further ahead than can be, another recording begins:
    it is placed right behind what came before it. Times in seconds."""

    def __init__(self) -> None:
        self.end = 0.0  # of the latest good piece
        self.skipped: list[Skipped] = []
        self._damaged_s: float | None = None  # since then
        self.begin(0.0, length=None, restarts=False)

    def begin(self, start: float, *, length: float | None, restarts: bool) -> None:
        """Of a file, or of one that is joined to it. start: the time stamp that is its time 0. length: by its own
        account, None where it gives none. restarts: whether its format is made for time stamps that begin anew."""
        self._begun = self.end
        self._offset = self.end - start
        self._latest = self.end + (_LONGEST_FILE_S if length is None else length)
        self._restarts = restarts
        self._damaged_s = None  # it was the head of this file, which is not part of the one before

    def place(self, time: float | None, duration: float) -> float:
        """Where a good piece begins on the file's clock. time: its time stamp, None where it has none to rely on."""
        begin = self._begin(time)
        if self._damaged_s is not None:
            self._skip(begin, DAMAGED)
        elif self.end > self._begun and begin - self.end > TOLERANCE_S:
            self._skip(begin, HOLE)
        self.end = begin + duration
        return begin

    def damaged(self, seconds: float) -> bool:
        """A piece that can't be decoded, and about how long it is. Its time stamp may be wrong, too; that of the next
        good one says how long it really was. Returns whether the one before was good."""
        first = self._damaged_s is None
        self._damaged_s = (self._damaged_s or 0.0) + seconds
        return first

    def finish(self, expected: float | None) -> None:
        """No more comes. expected: length of the audio by the file's account, None where there is none to rely on."""
        if expected is not None and self._begun + expected - self.end >= _NOTABLE_S:
            self._skip(self._begun + expected, CUT_OFF)
        elif self._damaged_s is not None:
            self._skip(self.end + self._damaged_s, DAMAGED)

    def _begin(self, time: float | None) -> float:
        due = self.end + (self._damaged_s or 0.0)
        if time is None:
            return due
        begin = time + self._offset
        if -TOLERANCE_S <= begin - self.end <= self._longest_jump():
            return max(begin, 0.0)
        self._offset += due - begin
        return due

    def _longest_jump(self) -> float:
        if self._restarts and self.end > self._begun:
            return _LONGEST_JUMP_S
        return max(_LONGEST_JUMP_S, self._latest - self.end)

    def _skip(self, end: float, reason: str) -> None:
        """From the latest good piece to `end`. Two with less than TOLERANCE_S between them are one."""
        start, self._damaged_s = self.end, None
        if self.skipped and self.skipped[-1].reason == reason and start - self.skipped[-1].end <= TOLERANCE_S:
            start = self.skipped.pop().start
        if end > start:
            self.skipped.append(Skipped(start, end, reason))
