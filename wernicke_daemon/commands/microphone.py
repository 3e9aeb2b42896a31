"""A microphone: opened as it wants to be, heard as 16 kHz mono, and kept while nobody takes what it records."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wernicke_daemon.client import MONO_16K
from wernicke_daemon.commands import input_devices
from wernicke_daemon.commands.input_devices import InputDevice
from wernicke_daemon.commands.recorded import Backlog, Mono
from wernicke_daemon.formats.audio_files import MediaError

KEPT_S = 1800.0
"""Seconds of audio kept while the server can't be reached: 115 MB."""

_CHUNK_S = 0.1

Levels = Callable[[Sequence[float]], None]
"""Is given the peak of each channel in dBFS, for each 0.1 s."""


def devices() -> list[InputDevice]:
    """All that record. Raises MediaError where PortAudio is missing."""
    sounddevice = _sounddevice()
    try:
        default = sounddevice.query_devices(kind="input")["index"]
    except (ValueError, sounddevice.PortAudioError):
        default = None
    return input_devices.input_devices(sounddevice.query_devices(), sounddevice.query_hostapis(), default)


class Microphone:
    """format: what is recorded is converted to it. overflows: how often the computer was too busy to take audio."""

    format = MONO_16K

    def __init__(self, wanted: str | None, levels: Levels) -> None:
        """wanted: see `input_devices.choose`. Raises MediaError."""
        self._sounddevice = _sounddevice()  # the package
        self._device = input_devices.choose(devices(), wanted)  # what is listened to
        self.name = self._device.name  # for sentences
        self.rate, self.channels = self._format()  # as it is opened
        self.overflows = 0  # times that audio was lost because the computer was too busy
        self._levels = levels  # is told the levels
        self._mono = Mono(self.rate, self.channels)  # to what is sent
        self._backlog = Backlog(round(KEPT_S * self.format.bytes_per_second))  # what is recorded and not sent
        self._news = asyncio.Event()  # there may be something to send
        self._finished = False  # nothing more is recorded

    @property
    def lost_s(self) -> float:
        """Seconds of audio that nobody took for too long."""
        return self._backlog.lost / self.format.bytes_per_second

    def _format(self) -> tuple[int, int]:
        """(rate, channels) of the first that the device takes. Raises MediaError."""
        refusal = "it offers no format"
        for rate, channels in input_devices.formats(self._device):
            try:
                self._sounddevice.check_input_settings(self._device.index, channels, "float32", samplerate=rate)
            except (ValueError, self._sounddevice.PortAudioError) as error:
                refusal = str(error)
            else:
                return rate, channels
        raise self._unusable(refusal)

    def _unusable(self, why: object) -> MediaError:
        return MediaError(
            f"The microphone {self.name} can't be used: {why}. Close the program that uses it, or choose another with "
            "--device."
        )

    async def record(self) -> AsyncIterator[bytes]:
        """Audio until `finish()`, or until the device is gone (MediaError)."""
        with self._open() as source:
            while (chunk := await self._next()) is not None:
                yield chunk
            if tail := self._mono.drain():
                yield tail
            if not source.active:
                raise MediaError(f"The microphone {self.name} stopped delivering; connect it again.")

    async def _next(self) -> bytes | None:
        while (chunk := self._backlog.take()) is None and not self._finished:
            self._news.clear()
            await self._news.wait()
        return chunk

    def finish(self) -> None:
        """End the recording; what was recorded before is still given. To be called on the event loop's thread."""
        self._finished = True
        self._news.set()

    def _take(self, data: bytes) -> None:
        if self._finished:
            return
        audio, levels = self._mono.convert(data)
        self._backlog.put(audio)
        self._news.set()
        self._levels(levels)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """Raises MediaError."""
        loop = asyncio.get_running_loop()

        def received(data: Any, frames: int, time: Any, status: Any) -> None:  # on PortAudio's thread
            self.overflows += bool(status.input_overflow)
            loop.call_soon_threadsafe(self._take, bytes(data))

        try:
            with self._sounddevice.RawInputStream(
                device=self._device.index,
                samplerate=self.rate,
                channels=self.channels,
                dtype="float32",
                blocksize=round(self.rate * _CHUNK_S),
                callback=received,
                finished_callback=lambda: loop.call_soon_threadsafe(self.finish),
            ) as source:
                yield source
        except self._sounddevice.PortAudioError as error:
            raise self._unusable(error) from error


def _sounddevice() -> Any:
    """Raises MediaError."""
    try:
        import sounddevice
    except ImportError as error:
        sentence = "Listening needs the package sounddevice: pip install 'wernicke-daemon[mic]'."
        raise MediaError(sentence) from error
    except OSError as error:  # the package is there, the PortAudio library is not
        sentence = "Listening needs the PortAudio library; on Debian and Ubuntu: apt install libportaudio2."
        raise MediaError(sentence) from error
    return sounddevice
