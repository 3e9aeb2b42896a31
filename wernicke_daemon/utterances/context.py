"""What a session's next utterances depend on besides their audio: its voices, and what was said just before. Pure."""

import msgspec

from wernicke_daemon.utterances.said import Said
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.utterances.voices import Voice, Voices


class Remembered(msgspec.Struct, frozen=True):
    """What survives the daemon, in the journal. voices: heard so far. said: the latest recognised texts, in order, as
    context for what follows."""

    voices: tuple[Voice, ...] = ()
    said: tuple[str, ...] = ()


class Context:
    """remembered: as of the last result that was kept. voices: as of now. said: what was said, carried by
    each utterance."""

    def __init__(self, remembered: Remembered, next_sequence: int, lines: int, voices: Voices | None = None) -> None:
        """next_sequence: of the session's next utterance. lines: how many texts before it an utterance is given.
        voices: shared with a session that it goes on for; None for those remembered."""
        self.remembered = remembered
        self.said = Said(remembered.said, next_sequence, lines)
        self.voices = voices or Voices(remembered.voices)

    def names(self, utterance: Utterance) -> list[str | None]:
        """Of the pieces that diarization found in it; to be asked once for each utterance, in the order of `sequence`.
        Empty where there is nobody to name: a voice that is in no final founds no voice of the session."""
        found = utterance.diarization
        if found is None or utterance.failure is not None or not utterance.lines:
            return []
        return self.voices.name(found.pieces, found.same_voice)

    def preview_names(self, utterance: Utterance) -> list[str | None]:
        """As `names` would give them now; no voice is remembered for it."""
        found = utterance.diarization
        return [] if found is None else Voices(self.voices.known()).name(found.pieces, found.same_voice)

    def kept(self, sequence: int) -> None:
        """That utterance has its result: what is known by it is remembered, and what nobody will ask for forgotten."""
        self.remembered = Remembered(self.voices.known(), self.said.kept(sequence))
