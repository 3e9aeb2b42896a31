"""Who speaks when within one utterance, from classical features and clustering: small, fast, nothing to download.

The voiced speech is cut into windows of about 1.5 s; each becomes a vector in which voices differ and words do not
(`features`, then a linear projection fitted by tools/fit_spectral.py over synthetic voices). Windows are clustered
by cosine similarity; each cluster's vector over *all* its speech is the voice's embedding. One voice split in two
is worse than two voices taken for one: a cluster must hold enough speech and stay apart as a whole.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from ipc.audio_handle import Audio
from ipc.messages import DiarizationResult, DiarizationWork, Piece, StageName, Turn, Work
from ipc.settings import StageSettings
from stages.diarization.features import FRAMES_PER_SECOND, Frames, Mask, Vector, analysed, statistics
from stages.engine import ReadAudio

Labels = NDArray[np.intp]

SAME_VOICE = 0.7
"""Cosine similarity from which two embeddings are one voice: between what sentences of one synthetic voice reach and
what sentences of two do (tools/fit_spectral.py prints both)."""
SAME_WINDOW = 0.5
"""Mean similarity down to which clusters of windows are joined: lower, for a window holds few sounds."""
MIN_EMBEDDED = FRAMES_PER_SECOND // 2
"""Voiced frames below which a voice gets no embedding."""
MIN_WINDOW = 40
"""Voiced frames below which a window says nothing of its own and goes with its neighbour."""
MIN_VOICE = 80
"""Voiced frames below which a cluster is not believed to be a voice of its own."""
CELL = 75
"""Frames between windows: turns change on this grid. A window reaches half a cell further on either side."""
MAX_GAP = 30
"""Frames without voicing that do not end a region of speech: longer than any consonant."""
PADDING = 10
"""Frames kept around a region for the unvoiced consonants at its edges."""
MAX_PAUSE_S = 0.5
"""A pause shorter than this within one speaker's speech is part of the turn."""


class Cell(NamedTuple):
    """A stretch of speech that gets one label. start, end: frames it covers. window: the frames it is judged by."""

    start: int
    end: int
    window: slice


class Spectral:
    """`spectral` in config.toml. A job of 30 s takes a fraction of a second on one core."""

    name = "spectral"
    model = "mfcc-pitch-lda"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self._max_speakers = settings.diarization.max_speakers

    def load(self) -> None:
        text = Path(__file__).with_name("spectral_stats.json").read_text(encoding="utf-8")
        fitted = json.loads(text)
        self._mean: Vector = np.array(fitted["mean"])
        self._projection: Vector = np.array(fitted["projection"])

    def warm_up(self) -> None:
        self.diarize(np.random.default_rng(0).standard_normal(16_000).astype(np.float32))

    def process(self, work: Work, read_audio: ReadAudio) -> DiarizationResult:
        if not isinstance(work, DiarizationWork):
            raise TypeError(f"a diarization engine was given {type(work).__name__}")
        return self.diarize(read_audio(work.audio))

    def close(self) -> None:
        pass

    def diarize(self, audio: Audio) -> DiarizationResult:
        """Turns and voices of 16 kHz mono audio; speakers are numbered in order of appearance."""
        frames = analysed(audio)
        cells = cells_of(frames.voiced) if frames else []
        if frames is None or not cells:
            return DiarizationResult(turns=(), pieces=(), same_voice=SAME_VOICE)
        labels = in_order_of_appearance(self._labels(frames, cells))
        pieces = tuple(self._piece(frames, cells, labels, speaker) for speaker in range(labels.max() + 1))
        return DiarizationResult(turns=turns_of(cells, labels), pieces=pieces, same_voice=SAME_VOICE)

    def _labels(self, frames: Frames, cells: list[Cell]) -> Labels:
        """[cells]: which voice each belongs to."""
        telling = [i for i, cell in enumerate(cells) if frames.voiced[cell.window].sum() >= MIN_WINDOW]
        if len(telling) < 2:
            return np.zeros(len(cells), np.intp)
        points = np.array([self._point(frames, within(frames, [cells[i].window])) for i in telling])
        found = clustered(points, self._max_speakers)
        nearest = np.abs(np.arange(len(cells))[:, None] - np.array(telling)).argmin(axis=1)
        return self._joined(frames, cells, found[nearest])

    def _joined(self, frames: Frames, cells: list[Cell], labels: Labels) -> Labels:
        """The most alike clusters made one, again and again, while they are one voice or one is too small."""
        while len(names := np.unique(labels)) > 1:
            masks = [within(frames, spans(cells, labels == name)) for name in names]
            cosines = similarity(np.array([self._point(frames, mask) for mask in masks]))
            small = np.array([mask.sum() < MIN_VOICE for mask in masks])
            urgent = cosines + 2 * (small[:, None] | small)  # above any cosine: small ones first, in any case
            np.fill_diagonal(urgent, -np.inf)
            a, b = np.unravel_index(urgent.argmax(), urgent.shape)
            if urgent[a, b] < SAME_VOICE:
                break
            labels = np.where(labels == names[a], names[b], labels)
        return labels

    def _piece(self, frames: Frames, cells: list[Cell], labels: Labels, speaker: int) -> Piece:
        """All that one speaker says."""
        chosen = labels == speaker
        own = [cell for cell, wanted in zip(cells, chosen, strict=True) if wanted]
        return Piece(
            start=own[0].start / FRAMES_PER_SECOND,
            end=own[-1].end / FRAMES_PER_SECOND,
            speaker=speaker,
            seconds=sum(cell.end - cell.start for cell in own) / FRAMES_PER_SECOND,
            embedding=self._embedding(frames, cells, chosen),
        )

    def _embedding(self, frames: Frames, cells: list[Cell], chosen: Mask) -> tuple[float, ...]:
        mask = within(frames, spans(cells, chosen))
        return tuple(self._point(frames, mask).tolist()) if mask.sum() >= MIN_EMBEDDED else ()

    def _point(self, frames: Frames, chosen: Mask) -> Vector:
        """[11]: the projection of these frames' statistics, of unit length."""
        projected = (statistics(frames, chosen) - self._mean) @ self._projection
        point: Vector = projected / np.linalg.norm(projected)
        return point


def cells_of(voiced: Mask) -> list[Cell]:
    """The regions of speech cut into cells of about CELL frames, in time order."""
    return [cell for start, end in regions(voiced) for cell in cut(start, end)]


def regions(voiced: Mask) -> list[tuple[int, int]]:
    """Runs of voiced frames, joined over gaps of up to MAX_GAP, with PADDING around; in frames, end exclusive."""
    at = np.flatnonzero(voiced)
    if not len(at):
        return []
    breaks = np.flatnonzero(np.diff(at) > MAX_GAP)
    starts, ends = at[np.r_[0, breaks + 1]], at[np.r_[breaks, len(at) - 1]] + 1
    return [
        (max(0, int(start) - PADDING), min(len(voiced), int(end) + PADDING))
        for start, end in zip(starts, ends, strict=True)
    ]


def cut(start: int, end: int) -> list[Cell]:
    edges = np.linspace(start, end, max(1, round((end - start) / CELL)) + 1).astype(int).tolist()
    return [Cell(a, b, slice(max(start, a - CELL // 2), min(end, b + CELL // 2))) for a, b in pairwise(edges)]


def clustered(points: Vector, most: int) -> Labels:
    """Average linkage by cosine distance, at most so many clusters; deterministic."""
    tree = linkage(points, method="average", metric="cosine")
    labels = fcluster(tree, 1 - SAME_WINDOW, criterion="distance")
    if labels.max() > most:
        labels = fcluster(tree, most, criterion="maxclust")
    return np.asarray(labels, dtype=np.intp)


def within(frames: Frames, chosen: list[slice]) -> Mask:
    """[frames]: the voiced ones in any of the spans."""
    mask = np.zeros(len(frames.voiced), bool)
    for span in chosen:
        mask[span] = frames.voiced[span]
    return mask


def spans(cells: list[Cell], chosen: Mask) -> list[slice]:
    return [slice(cell.start, cell.end) for cell, wanted in zip(cells, chosen, strict=True) if wanted]


def similarity(points: Vector) -> Vector:
    """Cosines of all pairs of unit vectors."""
    cosines: Vector = points @ points.T
    return cosines


def in_order_of_appearance(labels: Labels) -> Labels:
    """The same partition numbered 0, 1, … by first occurrence."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]


def turns_of(cells: list[Cell], labels: Labels) -> tuple[Turn, ...]:
    """Neighbouring cells of one speaker joined over short pauses; seconds."""
    turns: list[Turn] = []
    for cell, label in zip(cells, labels.tolist(), strict=True):
        start, end = cell.start / FRAMES_PER_SECOND, cell.end / FRAMES_PER_SECOND
        if turns and turns[-1].piece == label and start - turns[-1].end < MAX_PAUSE_S:
            start = turns.pop().start
        turns.append(Turn(start=start, end=end, piece=label))
    return tuple(turns)
