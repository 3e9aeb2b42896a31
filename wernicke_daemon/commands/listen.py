"""`wernicke listen`: the microphone to the server, results to the terminal as they come."""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wernicke_daemon.client import Client, Exit, ParsedMessage, exchange, problem
from wernicke_daemon.commands import options
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.showing import Showing
from wernicke_daemon.formats.audio_files import MediaError
from wernicke_daemon.wire.audio import AudioFormat

_CHUNK_S = 0.1


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("listen", help="transcribe the microphone until Ctrl-C")
    options.add_live_file(parser)
    options.add_server(parser)
    options.add_language(parser)
    parser.set_defaults(command=_listen)


def _listen(args: argparse.Namespace) -> int:
    return asyncio.run(listen(args.url, args.token, args.language, args.live_file, args.cafile))


class Microphone:
    """The default input device, mono, at the rate it prefers (not every device does 16 kHz). Raises MediaError."""

    def __init__(self) -> None:
        self._sounddevice = _sounddevice()
        try:
            device = self._sounddevice.query_devices(kind="input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise MediaError("No microphone was found; connect one and allow this program to use it.") from error
        self.name = str(device["name"])
        self.format = AudioFormat(int(device["default_samplerate"]), channels=1, encoding="f32le")
        self.overflows = 0
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def record(self) -> AsyncIterator[bytes]:
        """Audio until `finish()`, or until the device is gone (MediaError)."""
        loop = asyncio.get_running_loop()

        def received(data: Any, frames: int, time: Any, status: Any) -> None:
            self.overflows += bool(status.input_overflow)
            loop.call_soon_threadsafe(self._chunks.put_nowait, bytes(data))

        def ended() -> None:
            loop.call_soon_threadsafe(self._chunks.put_nowait, None)

        with self._open(received, ended) as source:
            while (chunk := await self._chunks.get()) is not None:
                yield chunk
            if not source.active:
                raise MediaError(f"The microphone {self.name} stopped delivering; connect it again.")

    def finish(self) -> None:
        """End the recording. To be called on the event loop's thread."""
        self._chunks.put_nowait(None)

    @contextmanager
    def _open(self, received: Callable[..., None], ended: Callable[[], None]) -> Iterator[Any]:
        rate = self.format.sample_rate
        try:
            with self._sounddevice.RawInputStream(
                samplerate=rate,
                channels=1,
                dtype="float32",
                blocksize=round(rate * _CHUNK_S),
                callback=received,
                finished_callback=ended,
            ) as source:
                yield source
        except self._sounddevice.PortAudioError as error:
            raise MediaError(f"The microphone {self.name} can't be used: {error}.") from error


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


async def listen(
    url: str, token: str | None, language: str | None, live_file: Path | None, cafile: Path | None
) -> Exit:
    """Until Ctrl-C; the results of what was said before it still come. Raises BadOutput, ClientError, MediaError,
    TlsError."""
    microphone = Microphone()
    showing = Showing(live_file, grows=True)
    problems: list[str] = []

    def receive(message: ParsedMessage) -> None:
        showing.take(message)
        if sentence := problem(message):
            problems.append(sentence)
            print(f"error: {sentence}", file=sys.stderr)

    async with Client(
        url, token=token, language=language, audio=microphone.format, events=showing.events, cafile=cafile
    ) as client:
        print(f"Listening to {microphone.name}; Ctrl-C ends.", file=sys.stderr)
        with _on_interrupt(microphone.finish), showing:
            await exchange(client, microphone.record(), receive)
    if microphone.overflows:
        print(f"warning: audio was lost {microphone.overflows} times, the computer is too busy.", file=sys.stderr)
    return Exit.LOST if problems or microphone.overflows else Exit.OK


@contextmanager
def _on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C calls `act` on the event loop; a second one interrupts as usual.

    `signal.signal`, because event loops on Windows have no `add_signal_handler`.
    """
    loop = asyncio.get_running_loop()
    previous = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, previous)
        loop.call_soon_threadsafe(act)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
