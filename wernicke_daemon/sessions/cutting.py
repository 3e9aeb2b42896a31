"""From boundaries to numbered utterances; what became of a session's samples, and which are still needed.

No I/O; time comes from the clock that is passed in.
"""

from datetime import UTC, datetime

from ipc.arena import RingWriter
from ipc.messages import Boundary
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.gaps import UntoldGap
from wernicke_daemon.sessions.leases import Leases
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.sessions.sample_account import SampleAccount
from wernicke_daemon.utterances.said import Said
from wernicke_daemon.utterances.utterance import Utterance


class Cutting:
    """leases: which samples are still needed. gap: lost audio that the client was not told of. account: what became of
    all samples. next_sequence: of the next utterance."""

    def __init__(self, session_id: str, ring: RingWriter, start: StartingPoint, said: Said, clock: Clock) -> None:
        self.leases = Leases(start.sample)
        self.gap = UntoldGap()
        self.account = SampleAccount(start.sample)
        self.next_sequence = start.sequence
        self._session = session_id  # its id, for utterances
        self._ring = ring  # where their audio is
        self._said = said  # their context
        self._clock = clock

    def utterance(self, boundary: Boundary, options: Options, wall_start: float) -> Utterance:
        """The next one. wall_start: seconds since 1970 of its first sample."""
        sequence = self.next_sequence
        self.next_sequence += 1
        self.account.utterance(boundary.start, boundary.end)
        self.leases.begin(sequence, boundary.start)
        return Utterance(
            session=self._session,
            sequence=sequence,
            buffer_id=_buffer_id(sequence, self._clock.wall()),
            audio=self._ring.handle(boundary.start, boundary.end),
            boundary=boundary,
            language=options.language,
            glossary=options.glossary,
            triggered=self._clock.monotonic(),
            wall_start=wall_start,
            said=self._said,
        )

    def lose(self, end: int) -> None:
        """Samples before `end` could not be examined: what was open then can't become an utterance any more."""
        self.account.gap(self.leases.retain_from, end)
        self.gap.extend(self.leases.retain_from, end)
        self.leases.retain_from = end

    def first_not_final(self) -> tuple[int, int]:
        """The first sample and the first sequence that are not final: the journal must keep them."""
        return self.leases.final_before(), self.leases.first_not_final(self.next_sequence)


def _buffer_id(sequence: int, wall: float) -> str:
    """wall: seconds since 1970."""
    return f"buff_{datetime.fromtimestamp(wall, UTC):%Y%m%d_%H%M%S}_{sequence:03d}"
