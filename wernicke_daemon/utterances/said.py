"""What was said in a session, as far as it is recognised by now. Pure."""

from collections.abc import Sequence


class Said:
    """The latest recognised texts of a session, by sequence, and their language: what its utterances have as context.

    One for all utterances of a session; each of them carries it, and no copy: when an utterance is made, what was said
    before it may not be recognised yet. So its recognition gets what is known when it is submitted, and its correction
    what is known when that is asked for."""

    def __init__(self, texts: Sequence[str] = (), next_sequence: int = 1, lines: int = 0, language: str = "") -> None:
        """texts: of the utterances right before `next_sequence`, the last of them in that language. lines: how many
        texts a correction is given."""
        self._texts = dict(enumerate(texts, next_sequence - len(texts)))
        self._languages = {next_sequence - 1: language} if language else {}
        self._lines = lines

    def add(self, sequence: int, text: str, language: str) -> None:
        self._texts[sequence] = text
        self._languages[sequence] = language

    def texts_before(self, sequence: int) -> tuple[str, ...]:
        """What was said just before that utterance and is recognised by now, oldest first."""
        return self._before(sequence, self._lines)

    def text_before(self, sequence: int) -> str:
        """The last of it, "" for none."""
        return "".join(self._before(sequence, 1))

    def language_before(self, sequence: int) -> str:
        """The language of the last of it, "" for none."""
        return self._languages.get(max((said for said in self._languages if said < sequence), default=-1), "")

    def kept(self, sequence: int) -> tuple[str, ...]:
        """All up to that utterance have their results: forgets what nobody will ask for, gives what somebody may."""
        lines = max(1, self._lines)
        self._texts.pop(sequence - lines, None)
        language = self.language_before(sequence + 1)
        later = {said: spoken for said, spoken in self._languages.items() if said > sequence}
        self._languages = {**({sequence: language} if language else {}), **later}
        return self._before(sequence + 1, lines)

    def _before(self, sequence: int, most: int) -> tuple[str, ...]:
        before = sorted(said for said in self._texts if said < sequence)
        return tuple(self._texts[said] for said in before[-most:] if most)
