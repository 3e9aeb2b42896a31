"""Silero's network, from the ONNX file in faster-whisper's wheel, for windows of several streams.

The file takes windows of one stream, one after another. All but its LSTM goes by windows; the LSTM counts them as steps
of one sequence, [windows, 1, 128]. With one transposition changed it counts them as so many sequences of one step,
[1, windows, 128]: one window of each of several streams, at a third of the price. Weights and results are the same.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from ipc.audio_handle import VAD_WINDOW, Audio
from ipc.errors import EngineUnavailable
from stages import offline

CONTEXT = 64
"""Samples before a window that Silero takes along with it at 16 kHz."""

STATE = 128
"""Numbers of h, and of c, the network's recurrent state."""

SAME = 1e-4
"""By which two ways to compute a probability may differ. On the machines tried they do not."""

_EDITS = (
    # The transposition before the LSTM: [windows, 128, 1] becomes [1, windows, 128] in place of [windows, 1, 128].
    (rb"(?<=\n\x04perm)@\x00@\x02@\x01", b"@\x02@\x00@\x01"),
    # h and c, in and out, have any number in the middle: [1, windows, 128] in place of [1, 1, 128].
    (rb"(?<=\n\x11\x08\x01\x12\r\n\x02\x08\x01)\n\x02\x08\x01(?=\n\x03\x08\x80\x01)", b"\n\x02\x12\x00"),
    # What the file says of the shapes between (field 13 of a graph) holds no longer: a field that has no meaning.
    (rb"(?s)j(?=.\n./[\w/.]+_output_0\x12)", b"\x1a"),
)
"""Of the file (https://onnx.ai/onnx/repo-docs/onnx.proto): what is replaced by as many bytes."""

_log = structlog.get_logger()


class Silero:
    """One network on one thread."""

    def __init__(self) -> None:
        self._in_turn: Any = None  # takes windows of one stream
        self._side_by_side: Any = None  # takes one window of each of several; None where the file can't be changed

    def load(self) -> None:
        """Raises EngineUnavailable."""
        path = _file()
        try:
            model = path.read_bytes()
            self._in_turn = _session(model)
        except Exception as error:
            raise unavailable(f"the package onnxruntime, which fails here ({error})") from error
        try:
            self._side_by_side = _session(changed(model))
            self._compare()
        except Exception as error:  # a file of another version: streams are examined one by one, which is slower
            self._side_by_side = None
            _log.warning("vad_one_by_one", reason=str(error))

    def run(self, rows: Audio, counts: list[int], h: Audio, c: Audio) -> tuple[Audio, Audio, Audio]:
        """rows: windows with the context before each, float32 [windows, CONTEXT + VAD_WINDOW], those of each stream
        one after another, `counts` by stream. h, c: float32 [1, streams, STATE]. Returns the probabilities, float32
        [windows], and the new h and c."""
        found, h, c = np.zeros(len(rows), np.float32), h.copy(), c.copy()
        length = np.array(counts)
        first = np.cumsum(length) - length

        def take(network: Any, at: Any, streams: Any) -> None:
            given = {"input": rows[at], "h": h[:, streams], "c": c[:, streams]}
            found[at], h[:, streams], c[:, streams] = network.run(None, given)

        for step in range(max(counts, default=0)):
            going = np.flatnonzero(length > step)
            if len(going) == 1 or self._side_by_side is None:
                for stream in going:
                    take(self._in_turn, slice(first[stream] + step, first[stream] + length[stream]), [stream])
                break
            take(self._side_by_side, first[going] + step, going)
        return found, h, c

    def _compare(self) -> None:
        """Raises ValueError where the changed file gives something else."""
        random = np.random.default_rng(0)
        rows = random.normal(0, 0.1, (3, CONTEXT + VAD_WINDOW)).astype(np.float32)
        h, c = (random.normal(0, 0.5, (1, 3, STATE)).astype(np.float32) for _ in "hc")
        together = self._side_by_side.run(None, {"input": rows, "h": h, "c": c})
        for stream in range(3):
            at = slice(stream, stream + 1)
            alone = self._in_turn.run(None, {"input": rows[at], "h": h[:, at], "c": c[:, at]})
            for found, expected in zip((together[0][at], together[1][:, at], together[2][:, at]), alone, strict=True):
                if not np.allclose(found, expected, rtol=0, atol=SAME):
                    raise ValueError("the changed network gives other results")


def changed(model: bytes) -> bytes:
    """The same network for one window of each of several streams. Raises ValueError for a file of another make."""
    for before, after in _EDITS:
        model, places = re.subn(before, after.replace(b"\\", rb"\\"), model)
        if not places:
            raise ValueError("the file is of another version")
    return model


def recurrent(states: list[bytes]) -> NDArray[np.float32]:
    """h or c of several streams, float32 [1, streams, STATE]."""
    return np.frombuffer(b"".join(states), np.float32).reshape(1, -1, STATE)


def _file() -> Path:
    """Found without importing faster_whisper, which would load its whole engine."""
    package = find_spec("faster_whisper")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise unavailable("silero_vad_v6.onnx from the package faster-whisper, which is not there")


def _session(model: bytes) -> Any:
    offline.enforce()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def unavailable(needed: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"ingest engine 'silero' needs {needed}; "
        'install this program\'s packages again, or set engine = "energy" in [vad] of config.toml'
    )
