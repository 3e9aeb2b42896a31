"""Who asks for work, and what a job is for."""

from dataclasses import dataclass
from typing import Protocol

from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.utterance import Utterance


class Owner(Protocol):
    """Whose utterances they are: the session."""

    def heard(self, piece: Piece) -> None:
        """A live pass is over. Without a result, if it failed."""

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        """The text is there; speakers and correction are not. shed: nobody need be told now."""

    def improved(self, utterance: Utterance, shed: bool) -> None:
        """It has its speakers, or its correction; there is more to come."""

    def audio_released(self, utterance: Utterance) -> None:
        """No stage will read its audio any more. Said once of each."""

    def settled(self, utterance: Utterance) -> None:
        """Nothing more will change."""


@dataclass(frozen=True)
class Request:
    """What a job is for. owner: None for ingest. utterance: of diarization and correction. piece: of recognition."""

    owner: Owner | None = None
    utterance: Utterance | None = None
    piece: Piece | None = None
