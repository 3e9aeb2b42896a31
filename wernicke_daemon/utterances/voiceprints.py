"""Which voices of a session are people known from before, by how they sound. Pure.

A voiceprint is what a voice sounded like then: the mean of its embeddings, as the session's own voices have it, so that
it is compared by the same measure and from the same threshold as two voices of the session. Unsure means no name.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from wernicke_daemon.utterances.voices_clustering import Likeness

Mean = NDArray[np.float32]
"""[d]: of vectors as `voices_rows` has them, weighted by seconds, so that the product of two is how alike their pieces
are on average, without the scatter of little speech."""

LEAST_S = 3.0
"""Seconds of clean speech from which a voice is recognised: what one or two seconds sound like scatters too much."""

MARGIN = 0.5
"""How much more alike than the next person one has to be: so much of what is borne within a voice (`tolerance`), as
models have their cosines in quite different ranges."""

MOST_S = 600.0
"""Seconds that a voiceprint is of at most, so that it goes on following its voice."""


class Voiceprint(msgspec.Struct, frozen=True):
    """Of one person and one embedding model; others' embeddings say nothing of it. seconds: of speech that it is of."""

    name: str
    model: str
    mean: bytes  # float32, little-endian
    seconds: float

    @classmethod
    def of(cls, name: str, model: str, mean: Mean, seconds: float) -> "Voiceprint":
        return cls(name, model, mean.astype("<f4").tobytes(), round(seconds, 2))

    @property
    def vector(self) -> Mean:
        return np.frombuffer(self.mean, "<f4").astype(np.float32)

    def heard(self, mean: Mean, seconds: float) -> "Voiceprint":
        """With more speech of the same person and model."""
        together = self.seconds + seconds
        mixed = np.float32(self.seconds / together) * self.vector + np.float32(seconds / together) * mean
        return Voiceprint.of(self.name, self.model, mixed, min(together, MOST_S))


class Heard(NamedTuple):
    """A voice of a session. seconds: of clean speech."""

    mean: Mean
    seconds: float


def recognised(
    voices: Mapping[str, Heard], known: Iterable[Voiceprint], model: str, expected: Likeness
) -> dict[str, str]:
    """Names by label of the voices that are known, each name once.

    voices: those without a name, by label; their embeddings are of `model`. expected: of one voice in this session."""
    least, margin = expected.same - expected.tolerance, MARGIN * expected.tolerance
    people = [print for print in known if print.model == model]
    pairs = [
        (float(heard.mean @ person.vector), label, person.name)
        for label, heard in voices.items()
        if heard.seconds >= LEAST_S
        for person in people
        if len(person.vector) == len(heard.mean)
    ]
    found: dict[str, str] = {}
    for alike, label, name in sorted(pairs, reverse=True):
        others = [other for other, whose, called in pairs if whose == label and called != name]
        sure = alike >= least and alike - max(others, default=-1.0) >= margin
        if sure and label not in found and name not in found.values():
            found[label] = name
    return found
