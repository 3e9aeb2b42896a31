"""Which voice of the session a local speaker of an utterance is. Pure; asked once per utterance, in sequence order.

Policy:
- A local speaker is the known voice whose centroid is most alike by cosine similarity, if that is at least the
  engine's `same_voice`. Within one utterance the best pair is settled first, and a voice is given only once.
- Who matches none is a new voice, if heard for MIN_NEW_VOICE_S. Less than that, or no usable embedding (empty, not
  finite, all zero), is too little to say: no name.
- A voice's centroid is the mean of its embeddings (made unit vectors), weighted by their seconds of speech. The
  weight of what is already known is capped at MEMORY_S, so that a voice follows a slow change (another chair,
  a cold) but one odd utterance hardly moves it; an hour into the session a new utterance still counts.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ipc.messages import Piece

MIN_NEW_VOICE_S = 1.0
"""Seconds of speech from which an unmatched local speaker founds a voice: embeddings of less are too scattered."""
MEMORY_S = 120.0
"""Seconds of speech that a centroid remembers at most."""

Vector = tuple[float, ...]


@dataclass
class Voice:
    """name: "Speaker_00", … centroid: unit vector. seconds: of speech behind it, at most MEMORY_S."""

    name: str
    centroid: Vector
    seconds: float

    def hear(self, embedding: Vector, seconds: float) -> None:
        """Move the centroid towards a unit vector by its share of what is known."""
        known = self.seconds
        mean = [known * a + seconds * b for a, b in zip(self.centroid, embedding, strict=True)]
        self.centroid = unit(mean) or self.centroid
        self.seconds = min(known + seconds, MEMORY_S)


class Voices:
    """The voices of one session, named in order of first appearance."""

    def __init__(self, known: Iterable[Voice] = ()) -> None:
        """known: of the same session, as `known` gave them."""
        self._known = [replace(voice) for voice in known]

    def known(self) -> tuple[Voice, ...]:
        """All that were heard so far, as they are now."""
        return tuple(replace(voice) for voice in self._known)

    def name(self, pieces: Sequence[Piece], same_voice: float) -> list[str | None]:
        """A name, or None, for each piece of the next utterance; those of one local speaker get one. same_voice: see
        `assign`."""
        speakers = [[piece for piece in pieces if piece.speaker == speaker] for speaker in range(_speakers(pieces))]
        seconds = tuple(sum(piece.seconds for piece in own) for own in speakers)
        names = self.assign(tuple(map(_embedding, speakers)), seconds, same_voice)
        return [names[piece.speaker] for piece in pieces]

    def assign(
        self, embeddings: tuple[Vector, ...], durations: tuple[float, ...], same_voice: float
    ) -> list[str | None]:
        """A name, or None, for each local speaker of the next utterance.

        embeddings: one per local speaker, all of one length or unusable. durations: seconds of speech of each.
        same_voice: cosine similarity from which two embeddings are one voice. Raises ValueError where embeddings
        and durations are not equally many.
        """
        heard = [unit(embedding) for embedding in embeddings]
        matched = self._matches(heard, same_voice)
        return [
            self._named(matched.get(i), embedding, seconds)
            for i, (embedding, seconds) in enumerate(zip(heard, durations, strict=True))
        ]

    def _matches(self, heard: list[Vector | None], same_voice: float) -> dict[int, Voice]:
        """Local speaker → known voice, the most alike pair first, each used once."""
        pairs = [
            (cosine(embedding, voice.centroid), i, voice)
            for i, embedding in enumerate(heard)
            if embedding is not None
            for voice in self._known
            if len(voice.centroid) == len(embedding)
        ]
        matched: dict[int, Voice] = {}
        for alike, i, voice in sorted(pairs, key=lambda pair: -pair[0]):
            if alike >= same_voice and i not in matched and voice not in matched.values():
                matched[i] = voice
        return matched

    def _named(self, voice: Voice | None, embedding: Vector | None, seconds: float) -> str | None:
        if embedding is None:
            return None
        if voice is not None:
            voice.hear(embedding, seconds)
            return voice.name
        if seconds < MIN_NEW_VOICE_S:
            return None
        return self._found(embedding, seconds)

    def _found(self, embedding: Vector, seconds: float) -> str:
        voice = Voice(f"Speaker_{len(self._known):02d}", embedding, min(seconds, MEMORY_S))
        self._known.append(voice)
        return voice.name


def _speakers(pieces: Sequence[Piece]) -> int:
    return max((piece.speaker for piece in pieces), default=-1) + 1


def _embedding(pieces: Sequence[Piece]) -> Vector:
    """The mean of theirs, weighted by seconds; () where none says anything."""
    heard = [(row, piece.seconds) for piece in pieces if (row := unit(piece.embedding)) is not None]
    return tuple(sum(values) for values in zip(*([x * s for x in row] for row, s in heard), strict=True))


def unit(vector: Iterable[float]) -> Vector | None:
    """The vector scaled to length 1; None where that means nothing (empty, not finite, all zero)."""
    values = tuple(vector)
    length = math.hypot(*values)
    return tuple(value / length for value in values) if 0 < length < math.inf else None


def cosine(a: Vector, b: Vector) -> float:
    """Of two unit vectors of one length."""
    return sum(x * y for x, y in zip(a, b, strict=True))
