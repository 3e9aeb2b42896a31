"""The reference client and its commands against a small server that speaks the protocol, over real sockets."""

import asyncio
import json
import signal
import socket
import sys
import threading
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from wernicke_daemon import cli
from wernicke_daemon.client import Client, ClientError, Exit, ParsedMessage, exchange
from wernicke_daemon.formats import audio_files

FINAL = {
    "type": "final",
    "sequence": 1,
    "timestamp_range": {"start": 1.0, "end": 3.0},
    "segments": [{"start": 0.5, "end": 1.5, "speaker": "Speaker_00", "text": "good morning"}],
}
LINE = "[00:01] Speaker_00: good morning"
PARTIAL = {
    "type": "partial",
    "sequence": 1,
    "stage": "live",
    "text": "good mourning",
    "stable_chars": 7,
    "timestamp_range": {"start": 1.0, "end": 2.0},
}


@dataclass
class Fake:
    """A server of one behaviour. audio, texts, requests: what clients sent."""

    url: str = ""
    audio: bytearray = field(default_factory=bytearray)
    texts: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def read_to_stop(self, connection: ServerConnection) -> None:
        while (message := connection.recv()) != '{"type":"stop"}':
            if isinstance(message, bytes):
                self.audio += message
            else:
                self.texts.append(message)
        self.texts.append("stop")


Behaviour = Callable[[Fake, ServerConnection], None]


@contextmanager
def server(behaviour: Behaviour, refusal: HTTPStatus | None = None) -> Iterator[Fake]:
    fake = Fake()

    def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            behaviour(fake, connection)

    def admit(connection: ServerConnection, request: Request) -> Response | None:
        fake.requests.append(request)
        return connection.respond(refusal, "no\n") if refusal else None

    with serve(handle, "127.0.0.1", 0, process_request=admit, compression=None) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        fake.url = f"ws://127.0.0.1:{listening.socket.getsockname()[1]}/transcribe"
        yield fake
        listening.shutdown()
        thread.join()


def sends(*messages: dict[str, Any]) -> Behaviour:
    """Reads until `stop`, answers, says that the session has ended."""

    def behave(fake: Fake, connection: ServerConnection) -> None:
        fake.read_to_stop(connection)
        for message in (*messages, {"type": "session_ended"}):
            connection.send(json.dumps(message))

    return behave


def vanishes(fake: Fake, connection: ServerConnection) -> None:
    """One result, then the connection is cut without a word."""
    connection.send(json.dumps(FINAL))
    connection.recv()
    connection.socket.shutdown(socket.SHUT_RDWR)


def is_full(fake: Fake, connection: ServerConnection) -> None:
    error = {"type": "error", "error": True, "code": "SERVER_OVERLOADED", "message": "All 5 places are taken."}
    connection.send(json.dumps(error))
    connection.close(1013)


def goes_idle(fake: Fake, connection: ServerConnection) -> None:
    connection.close(1000)


def is_taken_over(fake: Fake, connection: ServerConnection) -> None:
    fake.read_to_stop(connection)
    connection.send(json.dumps(FINAL))
    connection.close(1000)


async def silence(chunks: int = 3) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield bytes(6400)


async def session(url: str, **options: Any) -> list[ParsedMessage]:
    received: list[ParsedMessage] = []
    async with Client(url, **options) as client:
        await exchange(client, silence(), received.append)
    return received


async def test_a_session_sends_all_audio_and_brings_all_results() -> None:
    """Everything up to the end of the session comes back, and every byte went out."""
    with server(sends(FINAL, FINAL)) as fake:
        received = await session(fake.url)
    assert [message["type"] for message in received] == ["final", "final", "session_ended"]
    assert len(fake.audio) == 3 * 6400


async def test_options_travel_in_the_query_and_the_token_in_a_header() -> None:
    """Format, language and events as the protocol has them; the token is never in the address."""
    with server(sends()) as fake:
        await session(f"{fake.url}?correction=required", token="s3cret", language="en", events=["session", "ack"])
    [request] = fake.requests
    assert parse_qs(urlsplit(request.path).query) == {
        "correction": ["required"],
        "sample_rate": ["16000"],
        "channels": ["1"],
        "encoding": ["f32le"],
        "language": ["en"],
        "events": ["session,ack"],
    }
    assert request.headers["Authorization"] == "Bearer s3cret"


async def test_flush_is_said_in_between() -> None:
    """`flush` reaches the server before `stop`."""
    with server(sends()) as fake:
        async with Client(fake.url) as client:
            await client.send(bytes(4))
            await client.flush()
            await client.stop()
            assert [message["type"] async for message in client] == ["session_ended"]
    assert fake.texts == ['{"type":"flush"}', "stop"]


@pytest.mark.parametrize(
    ("status", "exit_code", "word"),
    [
        (HTTPStatus.UNAUTHORIZED, Exit.REFUSED, "WERNICKE_TOKEN"),
        (HTTPStatus.FORBIDDEN, Exit.REFUSED, "403"),
        (HTTPStatus.NOT_FOUND, Exit.UNREACHABLE, "not a Wernicke server"),
        (HTTPStatus.OK, Exit.UNREACHABLE, "not a Wernicke server"),
    ],
)
async def test_http_answers_become_sentences(status: HTTPStatus, exit_code: Exit, word: str) -> None:
    """A refusal is told from a server that is something else."""
    with server(sends(), refusal=status) as fake, pytest.raises(ClientError, match=word) as failed:
        await session(fake.url)
    assert failed.value.exit_code is exit_code


async def test_a_port_that_speaks_something_else_is_named() -> None:
    """Not HTTP at all: check the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(ClientError, match="not a Wernicke server") as failed:
            await session(f"ws://127.0.0.1:{listening.getsockname()[1]}/transcribe")
        thread.join()
    assert failed.value.exit_code is Exit.UNREACHABLE


async def test_a_server_that_is_not_there_is_said_with_what_to_do() -> None:
    """Connection refused: how to start the daemon."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ClientError, match=r"python run_daemon\.py") as failed:
        await session(f"ws://127.0.0.1:{port}/transcribe")
    assert failed.value.exit_code is Exit.UNREACHABLE


@pytest.mark.parametrize("url", ["localhost:8000", "http://localhost:8000/", "ws://[::1", "ws://host:port/"])
async def test_a_bad_address_is_a_usage_error(url: str) -> None:
    """The sentence shows what an address looks like."""
    with pytest.raises(ClientError, match="ws://localhost:8000/transcribe") as failed:
        await session(url)
    assert failed.value.exit_code is Exit.USAGE


@pytest.mark.parametrize("token", ["two\r\nlines", "秘密"])
async def test_a_garbled_token_is_not_sent(token: str) -> None:
    """A token can't add headers of its own, and is not shown."""
    with server(sends()) as fake, pytest.raises(ClientError) as failed:
        await session(fake.url, token=token)
    assert failed.value.exit_code is Exit.USAGE
    assert token not in str(failed.value)


async def test_a_full_server_is_quoted() -> None:
    """1013: the server's own sentence, and the code for a refusal."""
    with server(is_full) as fake, pytest.raises(ClientError, match="All 5 places are taken") as failed:
        await session(fake.url)
    assert failed.value.exit_code is Exit.REFUSED


@pytest.mark.parametrize(("behaviour", "results"), [(vanishes, 1), (goes_idle, 0)])
async def test_an_early_end_is_a_loss(behaviour: Behaviour, results: int) -> None:
    """What came before is kept, and the end is not taken for a good one, with close code 1000 neither."""
    received: list[ParsedMessage] = []

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(6400)
        await asyncio.Event().wait()

    with server(behaviour) as fake, pytest.raises(ClientError) as failed:
        async with Client(fake.url) as client:
            await exchange(client, endless(), received.append)
    assert failed.value.exit_code is Exit.LOST
    assert len(received) == results


async def test_a_close_without_the_word_that_it_was_all_is_a_loss() -> None:
    """After stop and with close code 1000 too: another connection has taken the session over, say."""
    received: list[ParsedMessage] = []
    with server(is_taken_over) as fake, pytest.raises(ClientError) as failed:
        async with Client(fake.url) as client:
            await exchange(client, silence(), received.append)
    assert failed.value.exit_code is Exit.LOST
    assert received == [FINAL]


async def test_a_close_before_stop_is_a_loss_whoever_notices_it_first() -> None:
    """A stop that comes too late makes it no good end."""
    with server(goes_idle) as fake:
        async with Client(fake.url) as client:
            await client._socket.wait_closed()
            with pytest.raises(ClientError):
                await client.stop()
            with pytest.raises(ClientError) as failed:
                async for _ in client:
                    pass
    assert failed.value.exit_code is Exit.LOST


async def test_input_that_breaks_off_still_brings_its_results() -> None:
    """The session is stopped in good order before the failure is raised."""

    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(6400)
        raise audio_files.MediaError("broken")

    received: list[ParsedMessage] = []
    with server(sends(FINAL)) as fake, pytest.raises(audio_files.MediaError, match="broken"):
        async with Client(fake.url) as client:
            await exchange(client, breaking(), received.append)
    assert received[0] == FINAL
    assert fake.texts == ["stop"]


# --- files -----------------------------------------------------------------------------------------


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """2.5 s of a 440 Hz tone on the left of 44.1 kHz stereo."""
    path = tmp_path / "tone.wav"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100 * 5 // 2) / 44_100)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44_100)
        out.writeframes((np.stack([tone, tone], axis=1) * 32767).astype("<i2").tobytes())
    return path


def test_files_are_decoded_to_the_wanted_rate_channels_and_chunks(wav: Path) -> None:
    """2.5 s stay 2.5 s, a tone stays that tone, and chunks have the asked length but for the last."""
    assert audio_files.duration(wav) == pytest.approx(2.5)
    chunks = list(audio_files.decode(wav, 16_000, 1, chunk_s=0.04))
    assert {chunk.shape for chunk in chunks[:-1]} == {(640, 1)}
    audio = np.concatenate(chunks)[:, 0]
    assert len(audio) == pytest.approx(40_000, abs=32)
    assert np.argmax(np.abs(np.fft.rfft(audio[:16_000]))) == 440
    stereo = next(audio_files.decode(wav, 48_000, 2))
    assert stereo.shape == (4800, 2) and stereo.dtype == np.float32


@pytest.mark.skipif(sys.platform == "win32", reason="no file can have such a name")
def test_a_file_name_is_no_address(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorders like to name files by the time of day."""
    monkeypatch.chdir(wav.parent)
    wav.rename("2026-01-01T10:30.wav")
    assert audio_files.duration(Path("2026-01-01T10:30.wav")) == pytest.approx(2.5)


def test_files_that_hold_no_audio_are_refused_by_name(tmp_path: Path) -> None:
    """Missing, a directory, not media: one sentence with the path."""
    (tmp_path / "note.txt").write_text("no audio in here", encoding="utf-8")
    for path in (tmp_path / "missing.wav", tmp_path, tmp_path / "note.txt"):
        with pytest.raises(audio_files.MediaError, match="can't be read") as failed:
            audio_files.duration(path)
        assert str(path) in str(failed.value)


async def test_pacing_follows_the_clock_without_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk n goes out n chunk lengths after the start, however late each wake-up was."""
    now = 50.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds + 0.015

    monkeypatch.setattr(audio_files, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(audio_files, "asyncio", SimpleNamespace(sleep=sleep))
    chunks = [np.zeros((1600, 1), dtype=np.float32)] * 100
    sent_at = [now async for _ in audio_files.stream(chunks, 16_000, realtime=True)]
    assert sent_at == pytest.approx([50 + 0.1 * n + 0.015 for n in range(1, 101)], abs=1e-6)


# --- commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "beginning"),
    [("out.txt", LINE), ("out.srt", "1\n00:00:01,500"), ("out.vtt", "WEBVTT"), ("out.JSON", "[")],
)
def test_transcribe_writes_each_format(
    name: str, beginning: str, wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results on stdout and in the file, by its extension; the whole file was sent at 16 kHz, and no more asked for."""
    with server(sends(FINAL)) as fake:
        assert cli.main(["transcribe", str(wav), "--url", fake.url, "-o", str(tmp_path / name)]) == 0
    assert "events" not in fake.requests[0].path
    assert capsys.readouterr().out == f"{LINE}\n"
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(beginning)
    assert len(fake.audio) == pytest.approx(4 * 40_000, abs=4 * 32)


def test_transcribe_takes_several_files(wav: Path, tmp_path: Path) -> None:
    """One session each, one transcript each; a broken one does not keep the next from being done."""
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"nothing")
    with server(sends(FINAL)) as fake:
        options = ["--url", fake.url, "-o", str(tmp_path), "--format", "vtt"]
        assert cli.main(["transcribe", str(broken), str(wav), *options]) == Exit.INPUT
    assert len(fake.requests) == 1
    assert [path.name for path in tmp_path.glob("*.vtt")] == ["tone.vtt"]


def test_transcribe_keeps_what_came_before_a_loss(
    wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The connection breaks: exit code 5, a sentence, and the results so far in the file."""
    out = tmp_path / "out.txt"
    with server(vanishes) as fake:
        assert cli.main(["transcribe", str(wav), "--url", fake.url, "-o", str(out)]) == Exit.LOST
    assert out.read_text(encoding="utf-8") == f"{LINE}\n"
    assert "connection to the server was lost" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"type": "error", "code": "TRANSCRIPTION_FAILED", "message": "This utterance failed."}, "utterance failed"),
        ({"type": "gap", "from": 1.5, "to": 4.0, "reason": "ASR_DOWN"}, "1.5 s to 4.0 s (ASR_DOWN)"),
    ],
)
def test_missing_results_show_in_the_exit_code(
    message: dict[str, Any], sentence: str, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors and gaps are told on stderr; the other results are printed all the same."""
    with server(sends(message, FINAL)) as fake:
        assert cli.main(["transcribe", str(wav), "--url", fake.url]) == Exit.LOST
    said = capsys.readouterr()
    assert sentence in said.err
    assert LINE in said.out


def test_the_token_comes_from_the_environment(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WERNICKE_TOKEN is used where --token is not given."""
    monkeypatch.setenv("WERNICKE_TOKEN", "from-env")
    with server(sends()) as fake:
        assert cli.main(["transcribe", str(wav), "--url", fake.url]) == 0
    assert fake.requests[0].headers["Authorization"] == "Bearer from-env"


class _PortAudioError(Exception):
    pass


def sounddevice(during: Callable[[Callable[..., None]], None], *, unplugged: bool = False) -> ModuleType:
    """A stand-in for the package; `during` is called when the recording starts."""

    class RawInputStream:
        def __init__(self, callback: Callable[..., None], finished_callback: Callable[[], None], **_: Any) -> None:
            self.active = not unplugged
            self._callback, self._finished = callback, finished_callback

        def __enter__(self) -> "RawInputStream":
            during(self._callback)
            if unplugged:
                self._finished()
            return self

        def __exit__(self, *_: object) -> None:
            self._finished()

    module = ModuleType("sounddevice")
    device = {"name": "Test Mic", "default_samplerate": 44_100.0}
    vars(module).update(
        RawInputStream=RawInputStream, PortAudioError=_PortAudioError, query_devices=lambda kind: device
    )
    return module


def speak(callback: Callable[..., None]) -> None:
    for _ in range(3):
        callback(bytes(4 * 4410), 4410, None, SimpleNamespace(input_overflow=False))


def speak_then_interrupt(callback: Callable[..., None]) -> None:
    speak(callback)
    signal.raise_signal(signal.SIGINT)


def test_listen_ends_gracefully_on_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C stops the recording, not the session: the last results are printed and appended to the live file, without
    what was open before them or never ended."""
    live = tmp_path / "deep" / "live.txt"
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(speak_then_interrupt))
    before = signal.getsignal(signal.SIGINT)
    for _ in range(2):
        with server(sends(PARTIAL, FINAL, PARTIAL | {"sequence": 2})) as fake:
            assert cli.main(["listen", "--url", fake.url, "--live-file", str(live)]) == 0
    assert len(fake.audio) == 3 * 4 * 4410
    assert "sample_rate=44100" in fake.requests[0].path and "events=partial" in fake.requests[0].path
    assert capsys.readouterr().out == f"{LINE}\n{LINE}\n"
    assert live.read_text(encoding="utf-8") == f"{LINE}\n{LINE}\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_listen_refuses_a_live_file_that_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is said: nobody is even called."""
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(speak_then_interrupt))
    with server(sends(FINAL)) as fake:
        assert cli.main(["listen", "--url", fake.url, "--live-file", str(tmp_path)]) == Exit.USAGE
    assert not fake.requests and f"{tmp_path} can't be written" in capsys.readouterr().err


def test_listen_tells_when_the_microphone_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was recorded is still transcribed; then a sentence and exit code 6."""
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice(speak, unplugged=True))
    with server(sends(FINAL)) as fake:
        assert cli.main(["listen", "--url", fake.url]) == Exit.INPUT
    said = capsys.readouterr()
    assert LINE in said.out
    assert "Test Mic stopped" in said.err


def test_listen_without_the_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package is an extra; its name is in the sentence."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert cli.main(["listen"]) == Exit.INPUT
    assert "pip install 'wernicke-daemon[mic]'" in capsys.readouterr().err
