"""What a session's next utterances depend on besides their audio: its voices, and what was said just before. Pure."""

import math
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from wernicke_daemon.utterances.revisions import Revisions
from wernicke_daemon.utterances.said import Said
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.utterances.voiceprints import Voiceprint
from wernicke_daemon.utterances.voices import NOTHING, Known, Voices
from wernicke_daemon.wire.protocol import Final, SpeakerUpdate


class Remembered(msgspec.Struct, frozen=True):
    """What survives the daemon, in the journal. heard: of the voices so far. said: the latest recognised texts, in
    order, as context for what follows. language: of the last of them, "" for none."""

    heard: Known = NOTHING
    said: tuple[str, ...] = ()
    language: str = ""


class Context:
    """remembered: as of the last result that was kept. voices: as of now. said: what was said, carried by
    each utterance."""

    def __init__(
        self,
        remembered: Remembered,
        next_sequence: int,
        lines: int,
        voices: Voices | None = None,
        known: Callable[[], Iterable[Voiceprint]] = tuple,
    ) -> None:
        """next_sequence: of the session's next utterance. lines: how many texts before it an utterance is given.
        voices: shared with a session that it goes on for; None for those remembered. known: of people from before."""
        self.remembered = remembered
        self.said = Said(remembered.said, next_sequence, lines, remembered.language)
        self.voices = voices or Voices(remembered.heard)
        self._people = known  # voiceprints from before
        self._revisions = Revisions()  # of results that were told
        self._rows: dict[int, list[int | None]] = {}  # of voices, by sequence: of those that are being told

    def names(self, utterance: Utterance) -> list[str | None]:
        """Of the pieces that diarization found in it; to be asked once for each utterance, in the order of `sequence`.
        Empty where there is nobody to name: a voice that is in no final founds no voice of the session."""
        found = utterance.diarization
        if found is None or utterance.failure is not None or not utterance.lines:
            return []
        self._rows[utterance.sequence] = self.voices.hear(found.pieces, found.same_voice, found.model)
        self.voices.recognise(self._people())
        return self.voices.names(self._rows[utterance.sequence])

    def preview_names(self, utterance: Utterance) -> list[str | None]:
        """As `names` would give them now; no voice is remembered for it."""
        found = utterance.diarization
        if found is None:
            return []
        voices = self.voices.copy()
        return voices.names(voices.hear(found.pieces, found.same_voice, found.model))

    def renamed(self) -> list[SpeakerUpdate]:
        """Somebody has said who a voice is. What that changes in results, however old they are."""
        titles = {**self.voices.titles.given}
        self.remembered = replace(self.remembered, heard=replace(self.remembered.heard, given=titles))
        return self.revisions(-math.inf)

    def told(self, utterance: Utterance, final: Final) -> None:
        """Its result, with the names as `names` gave them: they may be revised later."""
        self._revisions.add(final, utterance.lines, self._rows.pop(utterance.sequence, ()))

    def revisions(self, since_s: float) -> list[SpeakerUpdate]:
        """What is known better by now of results that end after that moment of the session's audio."""
        return self._revisions.due(self.voices.names, since_s)

    def last_revisions(self) -> list[SpeakerUpdate]:
        """The same of all results, once nothing more is said."""
        self.voices.settle()
        return self.revisions(-math.inf)

    def kept(self, sequence: int) -> None:
        """That utterance has its result: what is known by it is remembered, and what nobody will ask for forgotten."""
        said, language = self.said.kept(sequence), self.said.language_before(sequence + 1)
        self.remembered = Remembered(self.voices.known(), said, language)
