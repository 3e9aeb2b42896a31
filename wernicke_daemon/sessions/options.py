"""What a session begins with: what its client asked for, and where it goes on if it was there before."""

import msgspec

from wernicke_daemon.records.journal_files import SessionMeta
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.voices import ANY
from wernicke_daemon.utterances.voices_clustering import Count
from wernicke_daemon.wire.audio import AudioFormat


class Options(msgspec.Struct, frozen=True):
    """What a client asked for.

    audio: the format of what it sends. language: ISO 639-1 code or "auto". glossary: terms that it expects to be said.
    events: kinds of messages that it wants besides finals and errors. words: whether finals have word times. speakers:
    how many people speak. background: it gives way to sessions in which somebody speaks, as long as that has an end.
    """

    audio: AudioFormat
    language: str
    glossary: tuple[str, ...] = ()
    events: frozenset[str] = frozenset()
    words: bool = True
    speakers: Count = ANY
    background: bool = False

    def to_journal(self, wall_start: float) -> SessionMeta:
        """wall_start: seconds since 1970 at which the session began."""
        return SessionMeta(
            language=self.language,
            glossary=self.glossary,
            wall_start=wall_start,
            words=self.words,
            speakers=self.speakers,
            background=self.background,
        )

    @classmethod
    def from_journal(cls, meta: SessionMeta, default: "Options") -> "Options":
        """What the journal does not know is as in `default`: its audio is 16 kHz mono whatever came, and it has no
        client that wants events."""
        return cls(
            audio=default.audio,
            language=meta.language or default.language,
            glossary=meta.glossary,
            words=meta.words,
            speakers=meta.speakers,
            background=meta.background,
        )


class StartingPoint(msgspec.Struct, frozen=True):
    """Where a session goes on: number of its first sample, sequence of its next utterance, the time of day of that
    sample (seconds since 1970; None: samples are heard as they come in), and what is known from before."""

    sample: int = 0
    sequence: int = 1
    wall: float | None = None
    remembered: Remembered = Remembered()
