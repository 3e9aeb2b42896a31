"""Audio and video files as people have them, made from tones with PyAV."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Shape [frames, channels]."""

CODECS = {
    "mp3": "libmp3lame",
    "aac": "aac",
    "ac3": "ac3",
    "opus": "libopus",
    "webm": "libopus",
    "flac": "flac",
    "wav": "pcm_s16le",
    "mov": "pcm_s16le",
    "avi": "pcm_s16le",
    "mka": "aac",
    "m4a": "aac",
    "ts": "aac",
    "flv": "aac",
}
"""What is usual in files whose names end so."""

_FORMATS = {"aac": "adts", "mka": "matroska", "ts": "mpegts", "m4a": "ipod"}
_FRAME = 1024


def tone(hz: float, seconds: float, rate: int, channels: int = 1) -> Samples:
    """On all channels, at half of full scale."""
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave] * channels, axis=1).astype(np.float32)


def quiet(seconds: float, rate: int, channels: int = 1) -> Samples:
    return np.zeros((round(seconds * rate), channels), np.float32)


def write(
    path: Path,
    *tracks: Samples,
    rate: int,
    codec: str | None = None,
    default: int | None = None,
    picture_s: float = 0.0,
    stamp: Callable[[float], float] = lambda seconds: seconds,
) -> Path:
    """One file with these audio tracks, and a black picture of that length where it is to have one. default: index of
    the track that is marked so. stamp: from the time of a piece to its time stamp, both in seconds."""
    ending = path.suffix[1:]
    with av.open(str(path), "w", format=_FORMATS.get(ending)) as file:
        picture = _picture(file) if picture_s else None
        streams = [_stream(file, codec or CODECS.get(ending, "aac"), rate, track.shape[1]) for track in tracks]
        for index, stream in enumerate(streams):
            if default is not None:
                stream.disposition = av.stream.Disposition.default.value if index == default else 0
        if picture:
            _draw(file, picture, picture_s)
        for stream, track in zip(streams, tracks, strict=True):
            _encode(file, stream, track, rate, stamp)
    return path


def _stream(file: Any, codec: str, rate: int, channels: int) -> Any:
    stream = file.add_stream(codec, rate=rate)
    stream.layout = "mono" if channels == 1 else "stereo"
    return stream


def _encode(file: Any, stream: Any, track: Samples, rate: int, stamp: Callable[[float], float]) -> None:
    resampler = av.AudioResampler(stream.format, stream.layout, stream.rate, stream.frame_size or None)
    for start in range(0, len(track), _FRAME):
        piece = np.ascontiguousarray(track[start : start + _FRAME].reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono" if track.shape[1] == 1 else "stereo")
        frame.sample_rate = rate
        frame.pts = start
        for converted in resampler.resample(frame):
            _put(file, stream, converted, stamp)
    for converted in resampler.resample(None):
        _put(file, stream, converted, stamp)
    file.mux(stream.encode(None))


def _put(file: Any, stream: Any, frame: Any, stamp: Callable[[float], float]) -> None:
    frame.pts = round(stamp(frame.pts / frame.sample_rate) * frame.sample_rate)
    file.mux(stream.encode(frame))


def _picture(file: Any) -> Any:
    picture = file.add_stream("mpeg4", rate=5)
    picture.width = picture.height = 64
    picture.pix_fmt = "yuv420p"
    return picture


def _draw(file: Any, picture: Any, seconds: float) -> None:
    for _ in range(round(seconds * 5)):
        file.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
    file.mux(picture.encode(None))


def join(path: Path, parts: Sequence[Path]) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def damage(path: Path, begin: float, end: float) -> Path:
    """begin, end: of the bytes that become noise, as shares of the file."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * begin), int(len(data) * end)
    data[first:last] = np.random.default_rng(1).integers(0, 256, last - first, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep that share of the bytes."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path
