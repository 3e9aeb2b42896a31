"""From boundaries to numbered utterances; what became of a session's samples, and which are still needed.

No I/O; time comes from the clock that is passed in.
"""

from datetime import UTC, datetime

from ipc.arena import RingWriter
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import Boundary
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.gaps import UntoldGap
from wernicke_daemon.sessions.leases import Leases
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.sessions.sample_account import SampleAccount
from wernicke_daemon.utterances.caption import Caption
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.said import Said
from wernicke_daemon.utterances.utterance import Utterance


class Cutting:
    """Makes utterances of what ingest finds, and knows which audio is still needed."""

    def __init__(self, session_id: str, ring: RingWriter, start: StartingPoint, said: Said, clock: Clock) -> None:
        self.leases = Leases(start.sample)  # which samples are still needed
        self.gap = UntoldGap()  # lost audio that the client was not told of
        self.account = SampleAccount(start.sample)  # what became of all samples
        self.next_sequence = start.sequence  # of the next utterance
        self._session = session_id  # its id, for utterances
        self._ring = ring  # where their audio is
        self._said = said  # their context
        self._clock = clock  # tells when utterances were triggered

    def utterance(
        self, boundary: Boundary, pieces: tuple[Piece, ...], options: Options, wall_start: float
    ) -> Utterance:
        """The next one, numbered. wall_start: seconds since 1970 of its first sample."""
        sequence = self.next_sequence
        self.next_sequence += 1
        return Utterance(
            session=self._session,
            sequence=sequence,
            buffer_id=_buffer_id(sequence, self._clock.wall()),
            audio=self._ring.handle(boundary.start, boundary.end),
            boundary=boundary,
            language=options.language,
            glossary=options.glossary,
            triggered=0.0,
            wall_start=wall_start,
            began=self._clock.monotonic() - (self._ring.written - boundary.start) / SAMPLE_RATE,
            caption=Caption(options.language),
            pieces=pieces,
            said=self._said,
        )

    def in_place_of(self, named: Utterance, boundary: Boundary, pieces: tuple[Piece, ...]) -> Utterance:
        """One with the number, name and caption of `named`, and what the language model has answered of it, begun anew
        in another range."""
        audio = self._ring.handle(boundary.start, boundary.end)
        return Utterance(
            session=named.session,
            sequence=named.sequence,
            buffer_id=named.buffer_id,
            audio=audio,
            boundary=boundary,
            language=named.language,
            glossary=named.glossary,
            triggered=0.0,
            wall_start=named.wall_start,
            began=named.began,
            caption=named.caption,
            corrected_early=named.known_correction,
            pieces=pieces,
            said=named.said,
        )

    def begin(self, utterance: Utterance) -> None:
        """Its end is certain: its audio is needed from now on, and accounted for."""
        utterance.triggered = self._clock.monotonic()
        self.account.utterance(utterance.audio.start, utterance.audio.end)
        self.leases.begin(utterance.sequence, utterance.audio.start)

    def take_back(self, utterance: Utterance) -> None:
        """It was numbered, and is none: it has a result all the same, and no audio."""
        utterance.triggered = self._clock.monotonic()
        self.leases.begin(utterance.sequence, self.leases.retain_from)
        self.leases.release_audio(utterance.sequence)

    def lose(self, end: int) -> None:
        """Samples before `end` could not be examined: what was open then can't become an utterance any more."""
        self.account.gap(self.leases.retain_from, end)
        self.gap.extend(self.leases.retain_from, end)
        self.leases.retain_from = end

    def first_not_final(self, opened: Utterance | None) -> tuple[int, int]:
        """The first sample and the first sequence that are not final: the journal must keep them. opened: an utterance
        that is numbered already, and still being said."""
        to_come = self.next_sequence if opened is None else opened.sequence
        return self.leases.final_before(), self.leases.first_not_final(to_come)


def _buffer_id(sequence: int, wall: float) -> str:
    """wall: seconds since 1970."""
    return f"buff_{datetime.fromtimestamp(wall, UTC):%Y%m%d_%H%M%S}_{sequence:03d}"
