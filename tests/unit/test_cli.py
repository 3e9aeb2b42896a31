"""The command line without a server: options, settings, sentences, the demo's figures."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from ipc import gpu
from ipc.errors import WernickeError
from tests.wine import UNDER_WINE
from wernicke_daemon import cli
from wernicke_daemon.client import DEFAULT_URL, Exit
from wernicke_daemon.commands import serve
from wernicke_daemon.config.schema import Config
from wernicke_daemon.demo import run
from wernicke_daemon.gateway.http_request import SESSIONS
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.observability.pages import Percentiles, StageFigures

ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """What the daemon was asked to serve; no daemon is started."""
    configs: list[Config] = []

    def run(config: Config, choice: ProfileChoice, *, announce: Callable[[str], None]) -> None:
        configs.append(config)
        announce("ready")

    monkeypatch.setattr(serve, "run_until_signal", run)
    return configs


COMMANDS = [
    "serve",
    "transcribe",
    "listen",
    "sessions",
    "export",
    "status",
    "token",
    "cert",
    "models",
    "doctor",
    "report",
]


@pytest.mark.parametrize("command", [*([name] for name in COMMANDS), []])
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows the options and ends with 0."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    assert "usage: wernicke" in capsys.readouterr().out


def test_clients_ask_where_the_daemon_answers() -> None:
    """The client knows nothing of the gateway, so both say the path."""
    assert urlsplit(DEFAULT_URL).path == SESSIONS
    assert urlsplit(DEFAULT_URL).port == Config().port


def test_what_a_terminal_can_not_hold_is_shown_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A path in Japanese on a terminal of western letters: no traceback in place of the sentence."""

    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(terminal, encoding="cp1252", write_through=True))
    (tmp_path / "config.toml").write_text('[asr]\nmodel = "議事録"\n', encoding="utf-8")
    assert cli.serve_main(["--check-config", "--config", str(tmp_path / "config.toml")]) == 0
    assert rb"\u8b70\u4e8b\u9332" in terminal.getvalue()


@pytest.mark.skipif(UNDER_WINE, reason="wine takes no name that is no text for that of a file")
def test_a_file_name_that_is_no_text_fits_into_a_sentence() -> None:
    """Redirected streams are UTF-8, and names may be any bytes."""
    script = "import sys; from wernicke_daemon import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "transcribe", "\udcff.wav"]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert child.returncode == Exit.INPUT
    assert child.stderr == "error: \\udcff.wav can't be read: No such file or directory.\n"


def test_unknown_options_are_usage_errors() -> None:
    """Exit code 2, as everywhere."""
    with pytest.raises(SystemExit) as ended:
        cli.serve_main(["--prot", "1"])
    assert ended.value.code == 2


@pytest.mark.parametrize("command", [cli.serve_main, lambda options: cli.main(["serve", *options])])
def test_serve_overrides_the_file(
    command: Callable[[list[str]], int], served: list[Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both ways to serve read --config, and the command line wins over it."""
    file = tmp_path / "mine.toml"
    file.write_text("port = 9001\nmax_connections = 3\n", encoding="utf-8")
    assert command(["--config", str(file), "--port", "9002", "--host", "127.0.0.1", "--profile", "embedded"]) == 0
    [config] = served
    assert (config.port, config.host, config.max_connections) == (9002, "127.0.0.1", 3)
    assert (config.asr.engine, config.asr.language) == ("pocketsphinx", "en")
    assert "ready" in capsys.readouterr().out


def test_a_failed_start_is_one_sentence(
    served: list[Config], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What keeps the daemon from starting is said plainly, in the log as well, and the exit code is 1."""

    def run(config: Config, choice: ProfileChoice, *, announce: Callable[[str], None]) -> None:
        raise WernickeError("Port 8000 is taken; choose another with --port.")

    monkeypatch.setattr(serve, "run_until_signal", run)
    (tmp_path / "config.toml").touch()
    assert cli.serve_main(["--profile", "embedded", "--config", str(tmp_path / "config.toml")]) == 1
    assert capsys.readouterr().err == "error: Port 8000 is taken; choose another with --port.\n"
    line = json.loads((tmp_path / "data/logs/wernicke.jsonl").read_text(encoding="utf-8"))
    assert line["event"] == "not_started" and line["reason"] == "Port 8000 is taken; choose another with --port."


def test_without_a_console_the_log_tells(served: list[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Started by pythonw.exe there are no streams; a card without room shows in the log."""
    (tmp_path / "config.toml").write_text('[runtime]\nprofile = "rtx3090"\n', encoding="utf-8")
    monkeypatch.setattr(gpu, "cards", list)
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.serve_main(["--config", str(tmp_path / "config.toml")]) == 2
    line = json.loads((tmp_path / "data/logs/wernicke.jsonl").read_text(encoding="utf-8"))
    assert line["event"] == "not_started" and "no NVIDIA card" in line["reason"]


def test_without_a_console_whatever_else_is_wrong_is_told(
    served: list[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Settings that can't be read, options that are none, an error that nobody foresaw."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.chdir(tmp_path)
    beside = tmp_path / "data/logs/not_started.txt"
    (tmp_path / "config.toml").write_text("port = 'x'", encoding="utf-8")
    assert cli.serve_main(["--config", "config.toml"]) == 2
    assert "port" in beside.read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        cli.serve_main(["--prot", "1"])
    assert "--prot" in beside.read_text(encoding="utf-8")

    def run(config: Config, choice: ProfileChoice, *, announce: Callable[[str], None]) -> None:
        raise RuntimeError("nobody foresaw it")

    monkeypatch.setattr(serve, "run_until_signal", run)
    (tmp_path / "config.toml").write_text("", encoding="utf-8")
    with pytest.raises(RuntimeError):
        cli.serve_main(["--profile", "embedded", "--config", "config.toml"])
    line = json.loads((tmp_path / "data/logs/wernicke.jsonl").read_text(encoding="utf-8"))
    assert line["event"] == "not_started" and "nobody foresaw it" in line["reason"] and "Traceback" in line["exception"]


def test_check_config_shows_the_settings_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings are read, overridden and shown; nothing is started."""
    file = tmp_path / "mine.toml"
    file.write_text("[vad]\nsilence_s = 1.25\n", encoding="utf-8")
    assert cli.serve_main(["--config", str(file), "--port", "9003", "--check-config"]) == 0
    shown = capsys.readouterr().out
    assert "config OK" in shown
    assert "vad.silence_s" in shown and "1.25" in shown and "9003" in shown


def test_a_bad_config_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the key by name."""
    file = tmp_path / "mine.toml"
    file.write_text("[vad]\nsilence_s = 99\n", encoding="utf-8")
    assert cli.serve_main(["--config", str(file), "--check-config"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "vad.silence_s" in said and said.count("\n") == 1


def test_the_demo_takes_no_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """An option that the demo would ignore is refused."""
    assert cli.serve_main(["--demo", "--port", "9000"]) == 2
    assert "--demo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "output", "sentence"),
    [
        (["a.wav"], "out.doc", "should end in .txt, .srt, .vtt, .md, .json, .docx"),
        (["a.wav", "b.wav"], "out.txt", "must name one that exists"),
        (["a.wav"], "nowhere/out.txt", "does not exist"),
        (["x/a.wav", "y/a.wav"], ".", "same name"),
    ],
)
def test_outputs_that_cannot_be_are_refused_first(
    files: list[str], output: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An -o that can't work shows before hours of audio are sent, not after."""
    assert cli.main(["transcribe", *files, "-o", str(tmp_path / output)]) == 2
    assert sentence in capsys.readouterr().err


REFERENCE = run.Reference(
    10.0, (run.ReferenceTurn(1.0, 3.0, "slt", "good morning"), run.ReferenceTurn(6.0, 8.0, "rms", "thank you"))
)
CHUNK_S = run._CHUNK_S


def final(start: float, end: float, speaker: str, text: str) -> dict[str, Any]:
    segment = {"start": 0.3, "end": end - start, "speaker": speaker, "text": text}
    return {"timestamp_range": {"start": start, "end": end}, "segments": [segment], "latency_ms": 40.0}


def heard() -> run.Run:
    """Two results: 2.5 s and 2.75 s after the last speech of each was sent, by a clock that starts at 100."""
    return run.Run(
        sent=[100 + i * CHUNK_S for i in range(round(10 / CHUNK_S))],
        finals=[final(0.7, 3.3, "Speaker_00", "Good morning."), final(5.7, 8.3, "Speaker_01", "thank him")],
        arrived=[105.5, 110.75],
    )


def test_delays_are_taken_from_the_reference_end_of_speech() -> None:
    """The daemon's own post-roll does not shorten them."""
    assert run.delays(REFERENCE, heard()) == pytest.approx([2.5, 2.75], abs=CHUNK_S)


def test_an_utterance_cut_within_a_turn_ends_where_it_was_cut() -> None:
    """At the longest utterance the speech goes on; what counts is the audio that was in it."""
    cut = heard()
    cut.finals[0]["timestamp_range"]["end"] = 2.0
    assert run.delays(REFERENCE, cut)[0] == pytest.approx(3.5, abs=CHUNK_S)


def test_a_turn_without_a_result_is_missing() -> None:
    """A lost utterance is named by its place in the clip."""
    assert run.unheard(REFERENCE, heard().finals) == []
    [sentence] = run.unheard(REFERENCE, heard().finals[:1])
    assert "6.0 to 8.0 s" in sentence


def worked(run_ms: Percentiles, queued_ms: Percentiles) -> StageFigures:
    return StageFigures(
        queue=0,
        epoch=1,
        restarts=0,
        why_down=None,
        state="ready",
        pid=1,
        spare_pid=None,
        rss_mb=80.0,
        gpu_mib=None,
        queued_ms=queued_ms,
        run_ms=run_ms,
    )


def test_the_summary_tells_times_and_errors() -> None:
    """Every figure that the demo promises is there; a stage that had no work shows none."""
    stages = {
        "asr": worked(run_ms=Percentiles(321.0, 400.0, 9), queued_ms=Percentiles(2.0, 3.0, 9)),
        "correction": worked(run_ms=Percentiles(None, None, 0), queued_ms=Percentiles(None, None, 0)),
    }
    text = "\n".join(run.summary(REFERENCE, heard(), stages, "word"))
    for told in ("utterances           2", "max 2.7", "p50 0.04 s", "run p50 321 ms", "run p50 -", "25.0% of 4 words"):
        assert told in text
    assert "0 of 4 recognised words" in text


def test_progress_without_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe: what is being done, the clip's time every few seconds, results in full, no control characters."""
    with run.Display(Console(force_terminal=False, width=20, soft_wrap=True)) as display:
        display.doing("loading the model")
        for second in range(1, 12):
            display.played(second, 60)
        display.line("[00:01] Speaker_00: " + "word " * 20)
    shown = capsys.readouterr().out
    assert "loading the model" in shown and "\x1b" not in shown
    assert [line for line in shown.splitlines() if line.startswith("...")] == [
        "... clip 5 of 60 s",
        "... clip 10 of 60 s",
    ]
    assert "word " * 20 in shown
