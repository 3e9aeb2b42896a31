"""From who speaks in each frame to pieces of one voice, and what each sounds like. Pure but for the encoder it asks.

A piece is what one speaker says without anybody else in between, cut where the encoder hears another voice in it: a
segmentation model takes two people who speak by turns for one now and then, most of all two who sound alike. Cutting
one voice in two costs little, for what sounds alike is put together again; two voices in one piece stay so.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ipc.messages import DiarizationResult, Piece, Turn
from stages.diarization.segmentation import ACTIVE, Frames
from stages.diarization.speakers import Sound, speakers_of
from stages.diarization.stitching import Stitched

Indices = NDArray[np.intp]
"""Of frames, in the order in which they are heard."""
Vectors = NDArray[np.floating[Any]]

FRAMES_PER_SECOND = 100
"""Of a speaker encoder."""
MAX_PAUSE_S = 0.5
"""A pause shorter than this within one speaker's speech is part of the piece."""
MIN_STRETCH_S = 0.15
"""Shorter than a syllable: of nobody."""
MIN_EMBEDDED_S = 0.4
"""Of clean speech, below which an embedding says nothing."""
HEARD_S = 1.6
"""Speech that is shorter is heard several times over, up to so much: what encoders are trained on (GE2E: just that).
With silence put to it instead, half a second of a voice in a noisy room is more like another's half second than like
three seconds of its own (docs/quality.md)."""
HEARD = round(HEARD_S * FRAMES_PER_SECOND)
MAX_PIECE_S = 6.0
"""Longer ones are cut: an embedding of half of that is as good."""
SMALLEST = 1e-6
CONTEXT_S = 3.0
"""Of speech on either side of a place that are compared to find whether the voice changes there."""
SNAP_S = 0.3
"""How far a cut may be moved to the quietest place."""


class Stretch(NamedTuple):
    """start, end: seconds. track: number of the speaker in what was stitched."""

    start: float
    end: float
    track: int


class Alike(NamedTuple):
    """Cosine similarities of an encoder's embeddings. same_voice: from which long pieces of a session are of one voice.
    changed: below which neighbouring seconds are of two."""

    same_voice: float
    changed: float


class Heard(Protocol):
    """An utterance as a speaker encoder hears it, in frames of 10 ms. energy: [frames], of any scale. probe: frames of
    a window that is long enough to notice another voice in, and from one to the next."""

    energy: NDArray[np.floating[Any]]
    alike: Alike
    probe: tuple[int, int]

    def embedding(self, frames: Indices) -> Vectors:
        """[dimensions], of unit length, of these frames joined end to end; at least one. All zero: it can't say."""

    def windows(self, frames: Indices, length: int, step: int) -> Vectors:
        """[windows, dimensions], of unit length: of these frames in windows, as many as fit."""


def diarized(
    found: Stitched, frames: Frames, heard: Heard, duration_s: float, most: int, model: str
) -> DiarizationResult:
    """duration_s: of the audio, within which turns are kept. most: speakers that there are at most. model: whose
    embeddings they are."""
    listener = Listener(heard, overlapped(found, frames, len(heard.energy)))
    stretches = [part for whole in stretches_of(found, frames, duration_s) for part in listener.parts(whole)]
    sounds = [listener.sound(stretch) for stretch in stretches]
    speakers = speakers_of(sounds, heard.alike.changed, most)
    return DiarizationResult(
        turns=tuple(Turn(stretch.start, stretch.end, number) for number, stretch in enumerate(stretches)),
        pieces=tuple(
            Piece(stretch.start, stretch.end, speaker, sound.seconds, sound.embedding, sound.halves)
            for stretch, sound, speaker in zip(stretches, sounds, speakers, strict=True)
        ),
        same_voice=heard.alike.same_voice,
        model=model,
    )


class Listener:
    """Hears stretches of an utterance where one speaks alone."""

    def __init__(self, heard: Heard, overlap: NDArray[np.bool_]) -> None:
        """overlap: for each of its frames, whether several speak."""
        self._heard = heard
        self._clean = ~overlap

    def sound(self, stretch: Stretch) -> Sound:
        """Of long ones each half is heard by itself: what one voice is like to itself, and the mean is the whole's."""
        frames = self._frames(stretch)
        seconds = len(frames) / FRAMES_PER_SECOND
        if seconds < MIN_EMBEDDED_S:
            return Sound(stretch.track, seconds, ())
        parts = np.array_split(frames, 2 if seconds >= 2 * HEARD_S else 1)
        vectors = [self._heard.embedding(np.resize(part, max(len(part), HEARD))) for part in parts]
        whole = unit(np.sum(vectors, axis=0))
        halves = float(vectors[0] @ vectors[1]) if len(vectors) == 2 and all(map(np.any, vectors)) else None
        return Sound(stretch.track, seconds, tuple(whole.tolist()) if whole.any() else (), halves)

    def parts(self, stretch: Stretch) -> list[Stretch]:
        """The stretch cut where the voice changes, and where a part would be too long."""
        frames = self._frames(stretch)
        length, step = self._heard.probe
        cuts = []
        if len(frames) >= 2 * length:
            probes = self._heard.windows(frames, length, step)
            cuts = [
                self._quietest(int(frames[cut])) for cut in changes(probes, length, step, self._heard.alike.changed)
            ]
        return [short for part in cut_at(stretch, cuts) for short in self._short(part)]

    def _short(self, stretch: Stretch) -> list[Stretch]:
        count = int(np.ceil((stretch.end - stretch.start) / MAX_PIECE_S))
        inner = np.linspace(stretch.start, stretch.end, count + 1)[1:-1]
        return cut_at(stretch, [self._quietest(round(second * FRAMES_PER_SECOND)) for second in inner])

    def _quietest(self, frame: int) -> float:
        """The second of the quietest frame around this one."""
        reach = round(SNAP_S * FRAMES_PER_SECOND)
        start = max(0, frame - reach)
        return float(start + self._heard.energy[start : frame + reach + 1].argmin()) / FRAMES_PER_SECOND

    def _frames(self, stretch: Stretch) -> Indices:
        start, end = (round(second * FRAMES_PER_SECOND) for second in stretch[:2])
        return start + np.flatnonzero(self._clean[start:end])


def unit(vector: Vectors) -> Vectors:
    """Of length 1; all zero where it was."""
    scaled: Vectors = vector / max(float(np.linalg.norm(vector)), SMALLEST)
    return scaled


def cut_at(stretch: Stretch, seconds: Sequence[float]) -> list[Stretch]:
    """seconds: ascending; those outside are left out."""
    inner = [second for second in seconds if stretch.start < second < stretch.end]
    return [Stretch(a, b, stretch.track) for a, b in pairwise([stretch.start, *inner, stretch.end])]


def overlapped(found: Stitched, frames: Frames, count: int) -> NDArray[np.bool_]:
    """For each of so many frames of an encoder, whether several speak."""
    middles = (np.arange(count) + 0.5) / FRAMES_PER_SECOND
    index = np.clip((middles - frames.first) / frames.step, 0, len(found.overlap) - 1).astype(np.intp)
    several: NDArray[np.bool_] = found.overlap[index] >= ACTIVE
    return several


def stretches_of(found: Stitched, frames: Frames, duration_s: float) -> list[Stretch]:
    """In time order, not overlapping, within the audio: where several speak it is the one who is heard best."""
    if not found.tracks.shape[1]:
        return []
    label = np.where(found.speech >= ACTIVE, found.tracks.argmax(axis=1), -1)
    runs = [run for run in runs_of(label.tolist(), frames, duration_s) if run.end - run.start >= MIN_STRETCH_S]
    return joined(runs)


def runs_of(label: Sequence[int], frames: Frames, duration_s: float) -> Iterator[Stretch]:
    at = 0
    for track, run in groupby(label):
        end = at + len(list(run))
        start_s, end_s = max(0.0, frames.second(at)), min(duration_s, frames.second(end))
        if track >= 0 and start_s < end_s:
            yield Stretch(start_s, end_s, track)
        at = end


def joined(runs: Sequence[Stretch]) -> list[Stretch]:
    """Neighbours of one speaker made one over short pauses."""
    stretches: list[Stretch] = []
    for run in runs:
        if stretches and stretches[-1].track == run.track and run.start - stretches[-1].end < MAX_PAUSE_S:
            run = Stretch(stretches.pop().start, run.end, run.track)
        stretches.append(run)
    return stretches


def changes(probes: Vectors, length: int, step: int, changed: float) -> list[int]:
    """Frames at which the voice changes, ascending. probes: [windows, dimensions], unit vectors of windows of `length`
    frames, one each `step`. changed: cosine similarity of what is before and after, below which it is another."""

    def within(start: int, end: int) -> list[int]:
        likeness = {
            cut: compared(probes, length, step, start, cut, end)
            for cut in range(start + length, end - length + 1, step)
        }
        if not likeness:
            return []
        cut = min(likeness, key=lambda at: likeness[at])
        return [*within(start, cut), cut, *within(cut, end)] if likeness[cut] < changed else []

    return within(0, (len(probes) - 1) * step + length)


def compared(probes: Vectors, length: int, step: int, start: int, cut: int, end: int) -> float:
    """Cosine similarity of the windows wholly before and after the cut, as far as they are near it."""
    reach = round(CONTEXT_S * FRAMES_PER_SECOND)
    starts = np.arange(len(probes)) * step
    before = probes[(starts >= max(start, cut - reach)) & (starts + length <= cut)].sum(axis=0)
    after = probes[(starts >= cut) & (starts + length <= min(end, cut + reach))].sum(axis=0)
    scale = np.linalg.norm(before) * np.linalg.norm(after)
    return float(before @ after / scale) if scale else 1.0
