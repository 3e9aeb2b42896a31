"""What a session keeps of its results in memory, to send it again to a client that lost its line and came back. Pure.

`Delivery.replay` sends it; `SessionRegistry.find` says which session a client may come back to. No disk is read.
"""

from collections import deque

from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.wire.protocol import Gap

HISTORY = 1000
"""Results kept of a session; a resume window is minutes, so this is days of speech."""


class History:
    """What became of its utterances, in the order of their sequence, and gaps where they were told."""

    def __init__(self) -> None:
        self._messages: deque[Outcome | Gap] = deque(maxlen=HISTORY)

    def add(self, message: Outcome | Gap) -> None:
        self._messages.append(message)

    @property
    def results(self) -> int:
        """How many, without gaps."""
        return sum(_sequence(message) > 0 for message in self._messages)

    def after(self, sequence: int) -> list[Outcome | Gap]:
        """All that came after the last result that a client had, 0 for none. It may have heard of the latest gaps
        already; whether it has, nobody can tell: a line takes messages for a while after it was cut."""
        had = [at for at, message in enumerate(self._messages, 1) if _sequence(message) in range(1, sequence + 1)]
        return list(self._messages)[had[-1] if had else 0 :]


def _sequence(message: Outcome | Gap) -> int:
    """0 for a gap."""
    return 0 if isinstance(message, Gap) else message.sequence or 0
