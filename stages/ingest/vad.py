"""How likely each window of audio is speech. What a detector remembers of a stream travels outside it, as bytes.

Both detectors hear quiet speech brought up (`stages/level.py`); of a stream at a usual level they hear it as it is.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import VAD_WINDOW, Audio
from ipc.errors import EngineUnavailable
from stages import offline
from stages.level import CONTRAST_DB, Heard, Level, factor, follow

CONTEXT = 64
"""Samples before a window that Silero takes along with it at 16 kHz."""

SETTLING = 64
"""Windows of a silence that Silero still hears although the gate has decided them (2 s): its memory goes on
changing that long, and a memory that missed a pause gives other verdicts on the speech after it."""

_ZEROS = bytes(4 * 128)


class Vad(Protocol):
    """model: what `models_used` shows."""

    model: str

    def load(self) -> None:
        """Raises EngineUnavailable."""

    def probabilities(self, samples: Audio, memory: bytes) -> tuple[list[float], bytes]:
        """One probability for each VAD_WINDOW of `samples` (shape [n], n > 0), of which the last may be incomplete.

        memory: what the call for the samples before returned, b"" at the start of a stream. Both for whole windows
        are the same however the stream is split over calls.
        """


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

    def probabilities(self, samples: Audio, memory: bytes) -> tuple[list[float], bytes]:
        heard, level = follow(self._decoder.decode(memory) if memory else None, samples)
        loud = heard.db >= self._threshold_db
        loud |= _passes(heard, self._threshold_db) & (heard.contrast >= CONTRAST_DB)
        return loud.astype(np.float64).tolist(), self._encoder.encode(level)


class SileroMemory(msgspec.Struct, frozen=True, array_like=True):
    """Of one stream. h, c: the network's recurrent state, float32 [1, 1, 128] each. context: the last CONTEXT
    samples, float32. quiet: windows under the gate since the last one over it. level: None before the first window."""

    h: bytes = _ZEROS
    c: bytes = _ZEROS
    context: bytes = bytes(4 * CONTEXT)
    quiet: int = 0
    level: Level | None = None


class SileroVad:
    """Silero VAD v6 from the ONNX file in faster-whisper's wheel, on one thread, behind the level gate, which windows
    pass (or don't) once they are brought up.

    A window under the gate has probability 0. The first SETTLING of a run of them are heard by the network all the
    same; in a longer silence it rests, with its memory as it is, until a window passes the gate again.
    """

    model = "silero_vad_v6"

    def __init__(self, threshold_db: float) -> None:
        self._threshold_db = threshold_db
        self._decoder = msgspec.msgpack.Decoder(SileroMemory)
        self._encoder = msgspec.msgpack.Encoder()
        self._session: Any = None

    def load(self) -> None:
        path = _silero_file()
        try:
            self._session = _session(path)
        except Exception as error:
            raise _unavailable(f"the package onnxruntime, which fails here ({error})") from error

    def probabilities(self, samples: Audio, memory: bytes) -> tuple[list[float], bytes]:
        before = self._decoder.decode(memory) if memory else SileroMemory()
        windows, level = follow(before.level, samples)
        loud = _passes(windows, self._threshold_db)
        heard, quiet = _heard(loud.tolist(), before.quiet)
        context = np.frombuffer(before.context, np.float32)
        rows = _rows(samples, context)
        if windows.gain.any():
            rows *= factor(windows.gain)[:, None]
        found, h, c = self._infer(rows[heard], before)
        probabilities = np.zeros(len(loud), np.float32)
        probabilities[heard] = found
        last = np.concatenate((context, samples[-CONTEXT:]))[-CONTEXT:]
        after = SileroMemory(h, c, last.tobytes(), quiet, level)
        return np.where(loud, probabilities, 0).tolist(), self._encoder.encode(after)

    def _infer(self, rows: Audio, before: SileroMemory) -> tuple[Audio, bytes, bytes]:
        """rows: float32 [windows, CONTEXT + VAD_WINDOW]. Returns float32 [windows] and the new h and c."""
        if not len(rows):
            return np.zeros(0, np.float32), before.h, before.c
        h, c = (np.frombuffer(state, np.float32).reshape(1, 1, 128) for state in (before.h, before.c))
        found, h, c = self._session.run(None, {"input": rows, "h": h, "c": c})
        return found.reshape(-1), h.tobytes(), c.tobytes()


def _silero_file() -> Path:
    """Found without importing faster_whisper, which would load its whole engine."""
    package = find_spec("faster_whisper")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise _unavailable("silero_vad_v6.onnx from the package faster-whisper, which is not there")


def _session(path: Path) -> Any:
    offline.enforce()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _unavailable(needed: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"ingest engine 'silero' needs {needed}; "
        'install this program\'s packages again, or set engine = "energy" in [vad] of config.toml'
    )


def _passes(windows: Heard, threshold_db: float) -> NDArray[np.bool_]:
    """Which are as loud as the gate once they are brought up."""
    loud: NDArray[np.bool_] = windows.db + windows.gain >= threshold_db
    return loud


def _heard(loud: list[bool], quiet: int) -> tuple[NDArray[np.intp], int]:
    """Indices of the windows that Silero hears, and the windows under the gate at the end."""
    heard: list[int] = []
    for index, over in enumerate(loud):
        quiet = 0 if over else min(quiet + 1, SETTLING + 1)
        if quiet <= SETTLING:
            heard.append(index)
    return np.array(heard, np.intp), quiet


def _rows(samples: Audio, context: Audio) -> Audio:
    """Windows with the context before each: float32 [windows, CONTEXT + VAD_WINDOW], the last padded with zeros."""
    count = -(-len(samples) // VAD_WINDOW)
    stream = np.zeros(CONTEXT + count * VAD_WINDOW, np.float32)
    stream[:CONTEXT] = context
    stream[CONTEXT : CONTEXT + len(samples)] = samples
    rows = np.empty((count, CONTEXT + VAD_WINDOW), np.float32)
    rows[:, :CONTEXT] = stream[:-CONTEXT].reshape(-1, VAD_WINDOW)[:, :CONTEXT]
    rows[:, CONTEXT:] = stream[CONTEXT:].reshape(-1, VAD_WINDOW)
    return rows
