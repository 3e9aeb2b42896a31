"""What a session keeps of its results in memory, to send it again to a client that lost its line and came back. Pure.

`Delivery.replay` sends it; `SessionRegistry.find` says which session a client may come back to. No disk is read.
"""

from collections import deque

from wernicke_daemon.utterances.results import Outcome, revised, together
from wernicke_daemon.wire.protocol import Final, Gap, SpeakerUpdate

HISTORY = 1000
"""Results kept of a session; a resume window is minutes, so this is days of speech."""


class History:
    """What became of its utterances, in the order of their sequence, and gaps where they were told."""

    def __init__(self) -> None:
        self._messages: deque[Outcome | Gap] = deque(maxlen=HISTORY)
        self._revised: dict[int, SpeakerUpdate] = {}  # by sequence, all segments of a result that were revised

    def add(self, message: Outcome | Gap) -> None:
        self._messages.append(message)

    def revise(self, update: SpeakerUpdate) -> None:
        """A result that it has is sent with the new names from now on."""
        for at, message in enumerate(self._messages):
            if isinstance(message, Final) and message.sequence == update.sequence:
                self._messages[at] = revised(message, update)
                before = self._revised.get(update.sequence, update)
                self._revised[update.sequence] = together(before, update)

    def revisions(self, sequence: int) -> list[SpeakerUpdate]:
        """Of the results up to that one, the names that were revised: nobody can tell which of them a client has
        heard of."""
        return [self._revised[at] for at in sorted(self._revised) if at <= sequence]

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
