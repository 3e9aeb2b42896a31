"""Which pieces of one utterance are of one speaker, as far as the utterance alone tells: a hint for the session. Pure.

Two pieces are told apart only where segmentation heard two speakers who don't sound the same, for what is told apart
here stays apart in the session. Unsure means one: what a voice sounds like, alone, separates nobody here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CERTAIN_S = 1.0
"""Of clean speech, below which an embedding is scattered: embeddings of half a second of one voice are less alike than
those of longer stretches by about as much as DOUBT."""
DOUBT = 0.1


class Sound(NamedTuple):
    """Of a piece. track: the speaker that segmentation gave it. seconds: of clean speech behind the embedding, which is
    () where they are too few. halves: as in `Piece`."""

    track: int
    seconds: float
    embedding: tuple[float, ...]
    halves: float | None = None


@dataclass(frozen=True, eq=False)
class Group:
    """seconds: of clean speech. voice: sum of the embeddings of its pieces, each by its seconds."""

    tracks: set[int]
    seconds: float
    voice: NDArray[np.floating[Any]]

    def taken(self, other: "Group") -> "Group":
        """Both together."""
        return Group(self.tracks | other.tracks, self.seconds + other.seconds, self.voice + other.voice)


def speakers_of(sounds: Sequence[Sound], alike: float, most: int) -> list[int]:
    """For each piece, in time order, the number of its speaker; numbered by first appearance.

    alike: cosine similarity from which two tracks are one speaker. A track that can't be heard alone stays one.
    most: of those that can be heard.
    """
    groups = groups_of(sounds)
    while len(groups) > 1:
        one, other = max(combinations(groups, 2), key=lambda pair: likeness(*pair))
        if likeness(one, other) < alike and len(groups) <= most:
            break
        groups = [group for group in groups if group not in (one, other)] + [one.taken(other)]
    leaders = {track: min(group.tracks) for group in groups for track in group.tracks}
    speakers = [leaders.get(sound.track, sound.track) for sound in sounds]
    order = list(dict.fromkeys(speakers))
    return [order.index(speaker) for speaker in speakers]


def groups_of(sounds: Sequence[Sound]) -> list[Group]:
    """One for each track of which there is an embedding."""
    found: dict[int, Group] = {}
    for track, seconds, embedding, _ in sounds:
        if embedding:
            group = Group({track}, seconds, seconds * np.array(embedding))
            found[track] = found[track].taken(group) if track in found else group
    return list(found.values())


def likeness(one: Group, other: Group) -> float:
    """Cosine similarity, and what is allowed for where there is too little speech for it to be good."""
    cosine = one.voice @ other.voice / np.linalg.norm(one.voice) / np.linalg.norm(other.voice)
    return float(cosine) + (DOUBT if min(one.seconds, other.seconds) < CERTAIN_S else 0.0)
