"""Audio and video files, pipes and standard input as PCM in chunks, in real time where they replace a microphone."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ipc import clock
from wernicke_daemon.formats import media, tracks
from wernicke_daemon.formats.daemon_thread import DaemonThread
from wernicke_daemon.formats.file_clock import FileClock, Skipped
from wernicke_daemon.formats.media import MediaError as MediaError
from wernicke_daemon.formats.recording import Recording
from wernicke_daemon.formats.sample_track import Mono, SampleTrack
from wernicke_daemon.formats.tracks import Track

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Chunk = NDArray[np.float32]
"""Samples, shape [frames] or, interleaved, [frames, channels], nominally in [-1, 1]."""

CHUNK_S = 0.1


class AudioFile:
    """One audio track of a file, read once, from its beginning, with the files that are joined to it. name: for
    sentences. length: in seconds by the file's own account, None where it gives none. track, others: what is read, and
    what else there is. peak: of the samples so far."""

    def __init__(self, source: Path, sample_rate: int, wanted: int | None) -> None:
        """Opens it. Raises what `media.opened` does."""
        self.name = media.name(source)
        self.peak = 0.0
        self._source = source  # its path or stream
        self._begins_at = 0  # in bytes, what is read now
        self._rate = sample_rate  # of what is given, Hz
        self._clock = FileClock()  # what the time stamps say
        self._open = ExitStack()  # what is to be closed
        with ExitStack() as undo:
            container = undo.enter_context(media.opened(source))
            number = tracks.choose(container, wanted)
            self.others = tracks.tracks(container)
            self.track: Track = self.others.pop(number - 1)
            self._recording = Recording(container, container.streams.audio[number - 1])  # what is read now
            self._open = undo.pop_all()
        self.length = self._recording.length

    @property
    def seconds(self) -> float:
        """That were read so far, by the file's clock."""
        return self._clock.end

    @property
    def skipped(self) -> list[Skipped]:
        """So far."""
        return self._clock.skipped

    def chunks(self, chunk_s: float) -> Iterator[Mono]:
        """Of chunk_s seconds each, the last one shorter; silence where the file has no sound. Raises av.FFmpegError
        where no more can be read, and MediaError where nothing could."""
        for chunk in _cut(self._samples(), round(self._rate * chunk_s)):
            self.peak = max(self.peak, float(np.abs(chunk).max()))
            yield chunk

    def close(self) -> None:
        self._open.close()

    def _samples(self) -> Iterator[Mono]:
        samples = SampleTrack(self._rate)
        for frame, time_stamp in self._frames():
            begin = self._clock.place(time_stamp, frame.samples / frame.sample_rate)
            yield from samples.add(frame, begin)
        yield samples.finish()
        self._clock.finish(self._expected())
        if not self.seconds:
            raise MediaError("nothing in it can be decoded" if self.skipped else "there is no sound in it")

    def _frames(self) -> "Iterator[tuple[AudioFrame, float | None]]":
        from av import FFmpegError

        while True:
            now = self._recording
            self._clock.begin(now.start, length=now.length, restarts=now.restarts)
            failure: FFmpegError | None = None
            try:
                yield from now.frames(self._damaged)
            except FFmpegError as error:
                failure = error
            # Behind the end FFmpeg does not look for another file, and elsewhere takes it for damage.
            if self._recording is now and not self._go_on_behind(media.FAR_BYTES):
                if failure:
                    raise failure
                return

    def _expected(self) -> float | None:
        """Seconds that the last file should last."""
        expected = self._recording.expected
        return expected and expected * (1 + media.missing_share(self._source, self._begins_at))

    def _damaged(self, seconds: float) -> bool:
        """Whether it is no damage, but the beginning of another file."""
        begins = self._clock.damaged(seconds)
        return begins and self._go_on_behind(media.NEAR_BYTES)

    def _go_on_behind(self, within: int) -> bool:
        """Whether another file begins in so many bytes behind what was good of this one; it is read from now on."""
        from av import FFmpegError

        begins_at = media.joined_at(self._source, self._begins_at + self._recording.good_to + 1, within)
        if begins_at is None:
            return False
        try:
            container = self._open.enter_context(media.opened_at(self._source, begins_at))
            number = tracks.choose(container, None)
        except (MediaError, OSError, FFmpegError):  # it only looked like one
            return False
        self._recording, self._begins_at = Recording(container, container.streams.audio[number - 1]), begins_at
        return True


def _cut(pieces: Iterable[Mono], size: int) -> Iterator[Mono]:
    rest = np.zeros(0, np.float32)
    for piece in pieces:
        whole = np.concatenate([rest, piece])
        end = len(whole) - len(whole) % size
        yield from whole[:end].reshape(-1, size)
        rest = whole[end:]
    if len(rest):
        yield rest


def samples(source: Path, sample_rate: int) -> Mono:
    """All of a file that fits into memory and is good. Raises what `AudioFile` does."""
    file = AudioFile(source, sample_rate, None)
    try:
        return np.concatenate(list(file.chunks(CHUNK_S)))
    finally:
        file.close()


class Reading:
    """An open file. Nothing blocks the event loop, however long its pipe has nothing to read."""

    def __init__(self, file: AudioFile, thread: DaemonThread) -> None:
        self.file = file
        self._thread = thread

    async def chunks(self, chunk_s: float = CHUNK_S) -> AsyncIterator[Chunk]:
        """As mono samples. Raises MediaError where the file breaks off for good; what came before it was good."""
        chunks = self.file.chunks(chunk_s)
        while (chunk := await self._thread.call(self._next, chunks)) is not None:
            yield chunk

    def _next(self, chunks: Iterator[Mono]) -> Mono | None:
        with told(f"{self.file.name} can't be read" + (" to its end" if self.file.seconds else "")):
            return next(chunks, None)


@asynccontextmanager
async def reading(source: Path, sample_rate: int, track: int | None = None) -> AsyncIterator[Reading]:
    """source: of a file, a pipe, or `media.STDIN`. track: the number of its audio track, None for the one that FFmpeg
    takes. Raises MediaError."""
    thread = DaemonThread("audio file")
    closing = ExitStack()

    def open_file() -> AudioFile:
        with told(f"{media.name(source)} can't be read"):
            file = AudioFile(source, sample_rate, track)
            closing.callback(file.close)
            return file

    try:
        yield Reading(await thread.call(open_file), thread)
    finally:
        thread.end(closing.close)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Whatever is wrong with a file, as a MediaError."""
    from av import FFmpegError

    try:
        yield
    # ValueError: of names that are no text.
    except (MediaError, FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{what}: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


async def stream(chunks: AsyncIterable[Chunk], sample_rate: int, *, realtime: bool) -> AsyncIterator[bytes]:
    """Chunks as f32le bytes; in real time each when a microphone would have it complete, without drift."""
    begin: float | None = None
    frames = 0
    async for chunk in chunks:
        begin = clock.monotonic() if begin is None else begin
        frames += len(chunk)
        due = begin + frames / sample_rate if realtime else 0.0
        await asyncio.sleep(max(0.0, due - clock.monotonic()))
        yield chunk.astype("<f4", copy=False).tobytes()
