"""`wernicke transcribe` and `wernicke listen`."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.process.client.fake_server import FINAL, sends, server, vanishes
from wernicke_daemon import cli
from wernicke_daemon.client import Exit

LINE = "[00:01] Speaker_00: good morning"
PARTIAL = {
    "type": "partial",
    "sequence": 1,
    "stage": "live",
    "text": "good mourning",
    "stable_chars": 7,
    "timestamp_range": {"start": 1.0, "end": 2.0},
}


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
    assert "partial" not in fake.requests[0].path
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
    with server(sends(FINAL)) as fake:
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
    device = {
        "index": 0,
        "name": "Test Mic",
        "hostapi": 0,
        "max_input_channels": 1,
        "default_samplerate": 44_100.0,
    }
    vars(module).update(
        RawInputStream=RawInputStream,
        PortAudioError=_PortAudioError,
        query_devices=lambda kind=None: device if kind else [device],
        query_hostapis=lambda: [{"name": "Test System"}],
        check_input_settings=lambda *_, **__: None,
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
    assert len(fake.audio) == 3 * 4 * 1600
    assert "sample_rate=16000" in fake.requests[0].path and "partial" in fake.requests[0].path
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
