"""What a client keeps so that it can go on over another connection, and in another session. Pure: no sockets, times
are passed in.
"""

from collections import deque
from typing import Any

MOST_UNACKNOWLEDGED = 16 * 2**20
"""Bytes of audio kept until the server says that it has them; more is not sent before that. Four minutes of 16 kHz mono
float32, which is more than a ring of 180 s takes in at once."""

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0


class Outgoing:
    """Audio, and messages among it, from what the server is not known to have received on. Positions are bytes of audio
    since the client's first."""

    def __init__(self, frame_bytes: int) -> None:
        """frame_bytes: of one sample of every channel."""
        self._frame_bytes = frame_bytes
        self._sent: deque[tuple[int, bytes | str]] = deque()  # with the position at which each stands
        self._unsent: deque[tuple[int, bytes | str]] = deque()  # what comes after these
        self._end = 0  # the position after all audio that was added
        self._session = 0  # the position at which the present session begins

    @property
    def unacknowledged(self) -> int:
        """Bytes of audio."""
        return self._end - self._start()

    @property
    def must_wait(self) -> bool:
        """Nothing should be added now."""
        return bool(self._unsent) or self.is_full

    @property
    def is_full(self) -> bool:
        return self.unacknowledged >= MOST_UNACKNOWLEDGED

    def add(self, item: bytes | str) -> None:
        """item: audio, or a message that is to be said after all audio before it."""
        self._unsent.append((self._end, item))
        if isinstance(item, bytes):
            self._end += len(item)

    def next(self) -> bytes | str | None:
        """What is to be sent now; it counts as sent. None where there is nothing."""
        if not self._unsent:
            return None
        self._sent.append(self._unsent.popleft())
        return self._sent[-1][1]

    def forget_sent(self) -> None:
        """For a server that nobody can come back to."""
        self._sent.clear()

    def acknowledge(self, received: int) -> None:
        """The present session has received so many bytes. Of one half sample that is in them the server knows no more
        after the line broke, so the whole sample is kept."""
        position = self._position(received)
        while self._sent and _is_past(*self._sent[0], position):
            self._sent.popleft()

    def go_on(self, received: int) -> None:
        """The same session goes on after so many bytes: what comes after them is sent, again where it had been."""
        self.acknowledge(received)
        self._send_again()
        position = self._position(received)
        while self._unsent and _is_past(*self._unsent[0], position):
            self._unsent.popleft()
        if self._unsent and self._unsent[0][0] < position:
            start, item = self._unsent.popleft()
            assert isinstance(item, bytes)  # a message before that position is past
            self._unsent.appendleft((position, item[position - start :]))

    def begin_anew(self) -> int:
        """Another session gets all that no session is known to have. Returns the position at which it begins."""
        self._send_again()
        self._session = self._start()
        return self._session

    def _send_again(self) -> None:
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()

    def _start(self) -> int:
        for items in (self._sent, self._unsent):
            if items:
                return items[0][0]
        return self._end

    def _position(self, received: int) -> int:
        return self._session + received - received % self._frame_bytes


def _is_past(start: int, item: bytes | str, position: int) -> bool:
    """A message that stands right there may not have arrived."""
    return start + len(item) <= position if isinstance(item, bytes) else start < position


class Numbering:
    """One clock and one sequence over the sessions that a client had, one after another. last_sequence: of the present
    session, of the last result that came."""

    def __init__(self) -> None:
        self.last_sequence = 0
        self._latest = 0  # sequence of the present session that anything came of
        self._before = 0  # added to each sequence: those of the sessions before
        self._offset_s = 0.0  # added to each time: where the present session begins

    def begin_anew(self, offset_s: float) -> None:
        """Another session begins there; seconds from the client's first audio."""
        self._before += self._latest
        self._offset_s = offset_s
        self.last_sequence = self._latest = 0

    def take(self, message: dict[str, Any]) -> dict[str, Any]:
        """Any message of the present session; as it is told to whoever sees only one session."""
        numbered = dict(message)
        if (sequence := message.get("sequence")) is not None:
            self._note(sequence, message["type"])
            numbered["sequence"] = self._before + sequence
        if (times := message.get("timestamp_range")) is not None:
            numbered["timestamp_range"] = {name: self._offset_s + time for name, time in times.items()}
        if message.get("type") == "gap":
            numbered |= {name: self._offset_s + message[name] for name in ("from", "to")}
        return numbered

    def _note(self, sequence: int, kind: str) -> None:
        self._latest = max(self._latest, sequence)
        if kind in ("final", "error", "suppressed"):
            self.last_sequence = max(self.last_sequence, sequence)


class LostLine:
    """When to try again. Times are seconds, monotonic."""

    def __init__(self) -> None:
        self._since: float | None = None  # when the line broke; None while it is whole
        self._tries = 0

    @property
    def lost(self) -> bool:
        return self._since is not None

    def breaks(self, now: float) -> None:
        """It broke, or did before."""
        if self._since is None:
            self._since = now

    def delay(self, now: float, patience_s: float) -> float | None:
        """Seconds before the next try; None where it has lasted for longer than `patience_s`."""
        assert self._since is not None
        if now - self._since > patience_s:
            return None
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._tries, 10))
        self._tries += 1
        return delay

    def is_back(self) -> None:
        self._since, self._tries = None, 0
