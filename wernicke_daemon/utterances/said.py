"""What was said in a session, as far as it is recognised by now. Pure."""

from collections.abc import Sequence


class Said:
    """The latest recognised texts of a session, by sequence: what its utterances have as context.

    One for all utterances of a session; each of them carries it, and no copy: when an utterance is made, what was said
    before it may not be recognised yet. So its recognition gets what is known when it is submitted, and its correction
    what is known when that is asked for."""

    def __init__(self, texts: Sequence[str] = (), next_sequence: int = 1, lines: int = 0) -> None:
        """texts: of the utterances right before `next_sequence`. lines: how many texts a correction is given."""
        self._texts = dict(enumerate(texts, next_sequence - len(texts)))
        self._lines = lines

    def add(self, sequence: int, text: str) -> None:
        self._texts[sequence] = text

    def texts_before(self, sequence: int) -> tuple[str, ...]:
        """What was said just before that utterance and is recognised by now, oldest first."""
        return self._before(sequence, self._lines)

    def text_before(self, sequence: int) -> str:
        """The last of it, "" for none."""
        return "".join(self._before(sequence, 1))

    def kept(self, sequence: int) -> tuple[str, ...]:
        """All up to that utterance have their results: forgets what nobody will ask for, gives what somebody may."""
        lines = max(1, self._lines)
        self._texts.pop(sequence - lines, None)
        return self._before(sequence + 1, lines)

    def _before(self, sequence: int, most: int) -> tuple[str, ...]:
        before = sorted(said for said in self._texts if said < sequence)
        return tuple(self._texts[said] for said in before[-most:] if most)
