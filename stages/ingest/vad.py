"""How likely each window of audio is speech. What a detector remembers of a stream travels outside it, as bytes.

Both detectors hear quiet speech brought up (`stages/level.py`); of a stream at a usual level they hear it as it is.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import Audio
from stages.ingest.silero import CONTEXT, STATE, Silero, recurrent
from stages.ingest.windows import windows_of
from stages.level import CONTRAST_DB, Heard, Level, factor, follow, rms_db

SETTLING = 64
"""Windows of a silence that Silero still hears although the gate has decided them (2 s): its memory goes on
changing that long, and a memory that missed a pause gives other verdicts on the speech after it."""

_ZEROS = bytes(4 * STATE)

Piece = tuple[Audio, bytes]
"""The next samples of a stream (shape [n], n > 0), and what the detector remembers of it: b"" at its start."""

Verdict = tuple[list[float], bytes]
"""One probability for each VAD_WINDOW of a piece, of which the last may be incomplete, and what is remembered after it.
"""


class Vad(Protocol):
    """model: what `models_used` shows."""

    model: str

    def load(self) -> None:
        """Raises EngineUnavailable."""

    def probabilities(self, pieces: Sequence[Piece]) -> list[Verdict]:
        """Of several streams, one piece each. For whole windows the same however a stream is split over calls."""


class EnergyVad:
    """Every window as loud as the gate is speech, and so is one that is so only once it is brought up, if it stands out
    from the noise. threshold_db: RMS re full scale."""

    model = "rms"

    def __init__(self, threshold_db: float) -> None:
        self._threshold_db = threshold_db
        self._decoder = msgspec.msgpack.Decoder(Level)
        self._encoder = msgspec.msgpack.Encoder()

    def load(self) -> None:
        """There is nothing to load."""

    def probabilities(self, pieces: Sequence[Piece]) -> list[Verdict]:
        if not pieces:
            return []
        levels = [self._decoder.decode(memory) if memory else None for _, memory in pieces]
        rows, sizes, counts, _ = windows_of([samples for samples, _ in pieces], [b""] * len(pieces))
        heard, levels_after = follow(levels, rms_db(rows, sizes), counts)
        loud = heard.db >= self._threshold_db
        loud |= _passes(heard, self._threshold_db) & (heard.contrast >= CONTRAST_DB)
        memories = map(self._encoder.encode, levels_after)
        return list(zip(_by_stream(loud.astype(np.float64), counts), memories, strict=True))


class SileroMemory(msgspec.Struct, frozen=True, array_like=True):
    """Of one stream. h, c: the network's recurrent state, float32 [1, 1, 128] each. context: the last CONTEXT
    samples, float32. quiet: windows under the gate since the last one over it. level: None before the first window."""

    h: bytes = _ZEROS
    c: bytes = _ZEROS
    context: bytes = bytes(4 * CONTEXT)
    quiet: int = 0
    level: Level | None = None


class SileroVad:
    """Silero VAD v6 behind the level gate, which windows pass (or don't) once they are brought up.

    A window under the gate has probability 0. The first SETTLING of a run of them are heard by the network all the
    same; in a longer silence it rests, with its memory as it is, until a window passes the gate again.
    """

    model = "silero_vad_v6"

    def __init__(self, threshold_db: float) -> None:
        self._threshold_db = threshold_db
        self._decoder = msgspec.msgpack.Decoder(SileroMemory)
        self._encoder = msgspec.msgpack.Encoder()
        self._network = Silero()

    def load(self) -> None:
        self._network.load()

    def probabilities(self, pieces: Sequence[Piece]) -> list[Verdict]:
        if not pieces:
            return []
        before = [self._decoder.decode(memory) if memory else SileroMemory() for _, memory in pieces]
        rows, sizes, counts, contexts = windows_of([samples for samples, _ in pieces], [one.context for one in before])
        windows, levels = follow([one.level for one in before], rms_db(rows[:, CONTEXT:], sizes), counts)
        loud = _passes(windows, self._threshold_db)
        heard, heard_counts, quiet = _heard(_by_stream(loud, counts), [one.quiet for one in before])
        if windows.gain.any():
            rows *= factor(windows.gain)[:, None]
        h, c = recurrent([one.h for one in before]), recurrent([one.c for one in before])
        found, h, c = self._network.run(rows[heard], heard_counts, h, c)
        probabilities = np.zeros(len(loud))
        probabilities[heard] = found
        after = [
            SileroMemory(h.tobytes(), c.tobytes(), context, under, level)
            for h, c, context, under, level in zip(h[0], c[0], contexts, quiet, levels, strict=True)
        ]
        verdicts = _by_stream(np.where(loud, probabilities, 0), counts)
        return list(zip(verdicts, map(self._encoder.encode, after), strict=True))


def _passes(windows: Heard, threshold_db: float) -> NDArray[np.bool_]:
    """Which are as loud as the gate once they are brought up."""
    loud: NDArray[np.bool_] = windows.db + windows.gain >= threshold_db
    return loud


def _by_stream(windows: NDArray[Any], counts: Sequence[int]) -> list[list[Any]]:
    each = iter(windows.tolist())
    return [list(islice(each, count)) for count in counts]


def _heard(loud: list[list[bool]], quiet: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Indices of the windows that Silero hears, how many of each stream, and by stream the windows under the gate at
    the end. loud, quiet: by stream."""
    heard, counts, after, index = list[int](), list[int](), list[int](), 0
    for windows, under in zip(loud, quiet, strict=True):
        before = len(heard)
        for over in windows:
            under = 0 if over else min(under + 1, SETTLING + 1)
            if under <= SETTLING:
                heard.append(index)
            index += 1
        counts.append(len(heard) - before)
        after.append(under)
    return heard, counts, after
