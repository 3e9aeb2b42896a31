"""One audio stream of an opened file: frames with their time stamps, past whatever is damaged."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

_COUNTED = frozenset({"mp3", "aac", "loas", "ac3", "eac3", "dts", "truehd"})
"""FFmpeg's names of formats without time stamps: it counts packets instead, a damaged stretch as one or two, however
long it is. The length of such a file may be an estimate, by its size."""

_TS_DISCONT = 0x0200  # AVFMT_TS_DISCONT of libavformat/avformat.h
_MICROSECOND = 1e-6
_ESTIMATE_TOLERANCE = 0.02


class Recording:
    """start: the time stamp that is the file's time 0. length: to the end of the file by its own account, None where it
    gives none. restarts: whether the format is made for time stamps that begin anew within a file. good_to: where the
    last good packet but one begins, in bytes (the last may have more in it than audio). Times in seconds."""

    def __init__(self, container: "InputContainer", stream: "AudioStream") -> None:
        self._container = container  # the open file
        self._stream = stream  # the track
        self.start = (container.start_time or 0) * _MICROSECOND  # the time stamp that is time 0, seconds
        self.length = _length(container, stream)  # seconds by its own account, None where it gives none
        self.restarts = bool(container.format.flags & _TS_DISCONT)  # its clock may begin anew
        self.good_to = self._last_good = 0  # bytes: where the last good packet but one, and the last, begin
        self._counted = container.format.name in _COUNTED  # it has no time stamps of its own
        self._estimate = _estimate(container, stream)  # length by the bit rate, seconds
        self._first_rate = 0  # of the first frame, Hz
        self._good_bytes = 0  # of what could be decoded
        self._good_s = 0.0  # the same in seconds

    def frames(self, damaged: Callable[[float], bool]) -> "Iterator[tuple[AudioFrame, float | None]]":
        """Each with its time stamp, None where it has none to rely on. damaged: told what can't be decoded, with about
        how long it is; returns whether it ends here. Raises av.FFmpegError where no more can be read."""
        from av import FFmpegError

        for packet in self._container.demux(self._stream):
            try:
                frames = self._stream.decode(packet)
            except FFmpegError:
                if damaged(self._lost(packet)):
                    return
                continue
            self._note_good(packet, frames)
            yield from ((frame, self._time(frame)) for frame in frames)

    @property
    def expected(self) -> float | None:
        """Length of the audio by the file's own account, None where that can't be relied on: where other streams may be
        longer, or FFmpeg only estimated it."""
        if self.length is None or (self._counted and self._is_estimate(self.length)):
            return None
        if len(self._container.streams) == 1:
            return self.length
        has_own = self._container.format.name.startswith("mov")  # in others FFmpeg gives streams the file's length
        return _end(self._stream, self.start) if has_own else None

    def _note_good(self, packet: "Packet[AudioStream]", frames: "list[AudioFrame]") -> None:
        self._good_bytes += packet.size
        self._good_s += sum(frame.samples / frame.sample_rate for frame in frames)
        if frames and packet.pos is not None:
            self.good_to, self._last_good = self._last_good, packet.pos

    def _time(self, frame: "AudioFrame") -> float | None:
        """After a change of the sample rate FFmpeg counts on with the old one."""
        self._first_rate = self._first_rate or frame.sample_rate
        return None if self._counted or frame.sample_rate != self._first_rate else frame.time

    def _lost(self, packet: "Packet[AudioStream]") -> float:
        """Seconds that a damaged packet lasted."""
        seconds = float((packet.duration or 0) * (packet.time_base or 0))
        if self._counted and self._good_bytes:
            return max(seconds, packet.size * self._good_s / self._good_bytes)
        return seconds

    def _is_estimate(self, length: float) -> bool:
        return self._estimate is None or abs(length / self._estimate - 1) < _ESTIMATE_TOLERANCE


def _length(container: "InputContainer", stream: "AudioStream") -> float | None:
    """Seconds from the file's time 0 to the end of the file or, where only that is known, of the stream."""
    if container.duration is not None:
        return container.duration * _MICROSECOND
    return _end(stream, (container.start_time or 0) * _MICROSECOND)


def _end(stream: "AudioStream", start: float) -> float | None:
    """Seconds from the time stamp `start`, by the account of a stream that has one."""
    if stream.duration is None or stream.time_base is None:
        return None
    return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - start


def _estimate(container: "InputContainer", stream: "AudioStream") -> float | None:
    """Seconds that a file of that size lasts at the bit rate of its beginning, None where either is unknown."""
    if container.size <= 0 or not stream.bit_rate:
        return None
    return container.size * 8 / stream.bit_rate
