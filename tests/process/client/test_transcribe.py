"""`wernicke transcribe` on odd files: what is said, what is written, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests import media_files, wire
from tests.media_files import quiet, tone, write
from tests.process.client.fake_server import FINAL, sends, server, vanishes
from tests.process.conftest import ROOT, serving
from wernicke_daemon import cli
from wernicke_daemon.client import Exit, ParsedMessage

RATE = 16_000
LINE = "[00:01] Speaker_00: good morning"

posix = pytest.mark.skipif(sys.platform == "win32", reason="what Windows does not have")


def transcribe(file: Path | str, *options: str, answers: tuple[ParsedMessage, ...] = (FINAL,)) -> int:
    """The exit code, of a server with those results."""
    with server(sends(*answers)) as fake:
        return cli.main(["transcribe", str(file), "--url", fake.url, *options])


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    return media_files.damage(write(tmp_path / "damaged.mka", tone(440, 20, RATE), rate=RATE), 0.45, 0.47)


# --- what was skipped ------------------------------------------------------------------------------


def test_what_was_skipped_is_said_and_written(
    damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where, and how many seconds: on the terminal, as a gap in JSON, and as a note in WebVTT; exit code 5."""
    for out in ("x.json", "x.vtt", "x.srt"):
        assert transcribe(damaged, "-o", str(tmp_path / out)) == Exit.LOST
    said = capsys.readouterr()
    assert said.err.count("warning: ") == 3 and "damaged.mka is damaged: nothing could be read from " in said.err
    final, gap = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert final == FINAL and gap["type"] == "gap" and gap["reason"] == "INPUT_DAMAGED"
    assert 4 < gap["from"] < gap["to"] < 16
    assert f"from {gap['from']:.1f} to {gap['to']:.1f} s ({gap['to'] - gap['from']:.1f} s in all)" in said.err
    [note] = [line for line in (tmp_path / "x.vtt").read_text(encoding="utf-8").split("\n\n") if "NOTE" in line]
    assert note.startswith(f"NOTE No text from 00:00:{gap['from']:06.3f} to ") and note.endswith("(INPUT_DAMAGED)")
    assert "NOTE" not in (tmp_path / "x.srt").read_text(encoding="utf-8")


def test_a_hole_is_told_and_is_no_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There was nothing to hear."""
    path = write(tmp_path / "x.mkv", tone(440, 4, RATE), rate=RATE, stamp=lambda s: s + 10 * (s >= 2.048))
    assert transcribe(path) == Exit.OK
    assert "warning: " in (said := capsys.readouterr().err) and "has a hole" in said


@pytest.mark.parametrize(
    "loss",
    [
        {"type": "gap", "from": 1.5, "to": 4.0, "reason": "ASR_DOWN"},
        {"type": "error", "code": "ASR_DOWN", "message": "No text.", "details": {"from": 1.5, "to": 4.0}},
        {"type": "error", "code": "ASR_DOWN", "message": "No text.", "sequence": 2},
    ],
)
def test_what_the_server_lost_is_written_too(loss: dict[str, Any], tmp_path: Path) -> None:
    """As it said so."""
    path = write(tmp_path / "x.wav", tone(440, 4, RATE), rate=RATE)
    for out in ("x.json", "x.vtt"):
        assert transcribe(path, "-o", str(tmp_path / out), answers=(loss, FINAL)) == Exit.LOST
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == [FINAL, loss]
    note = "NOTE No text from 00:00:01.500 to 00:00:04.000 (ASR_DOWN)\n"
    assert (note in (tmp_path / "x.vtt").read_text(encoding="utf-8")) == ("sequence" not in loss)


# --- tracks ----------------------------------------------------------------------------------------


def test_which_track_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the others, and how to have one of them; who has chosen is not told."""
    path = write(tmp_path / "x.mkv", quiet(1, RATE), tone(440, 1, RATE), rate=RATE, default=1)
    assert transcribe(path) == Exit.OK
    assert "x.mkv audio track 2 (default) is taken; --track takes another: 1." in capsys.readouterr().err
    assert transcribe(path, "--track", "1") == Exit.OK
    assert capsys.readouterr().err == ""
    assert transcribe(path, "--track", "3") == Exit.INPUT
    assert "it has no audio track 3, only 1, 2 (default)." in capsys.readouterr().err


# --- nothing heard ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 0.001])
def test_an_empty_result_is_said_and_leaves_the_file_that_is_there(
    level: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exit code of its own; why it may be so; the transcript of yesterday is not overwritten with nothing."""
    path = write(tmp_path / "x.mkv", level * tone(440, 2, RATE), quiet(2, RATE), rate=RATE, codec="pcm_s16le")
    out, good = tmp_path / "new.srt", tmp_path / "good.srt"
    good.write_text("good", encoding="utf-8")
    silent = FINAL | {"segments": []}
    for output, answers in ((out, ()), (good, ()), (good, (silent,))):
        assert transcribe(path, "-o", str(output), answers=answers) == Exit.EMPTY
        said = capsys.readouterr().err
        assert f"No speech was found in the 2.0 s of {path}; " in said
        assert ("its loudest sample is at -66 dB" if level else "all of it is silence") in said
        assert "--track takes another audio track: 2." in said
        assert f"{output} is " in said
    assert not out.exists() and good.read_text(encoding="utf-8") == "good"


# --- outputs ---------------------------------------------------------------------------------------


def test_a_part_does_not_take_the_place_of_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the line breaks, what came is beside what was there; alone it has the name that was asked for."""
    path = write(tmp_path / "x.wav", tone(440, 4, RATE), rate=RATE)
    out = tmp_path / "x.srt"
    for _ in range(2):
        with server(vanishes) as fake:
            assert cli.main(["transcribe", str(path), "--url", fake.url, "-o", str(out)]) == Exit.LOST
        part = out.read_text(encoding="utf-8")
        assert "good morning" in part
    assert (tmp_path / "x.partial.srt").read_text(encoding="utf-8") == part
    assert f"{out} is left as it was; what came this time is in " in capsys.readouterr().err


@posix
def test_a_full_disk_leaves_the_transcript_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, the reason, and nothing beside it."""
    import resource

    path = write(tmp_path / "x.wav", tone(440, 1, RATE), rate=RATE)
    out = tmp_path / "out" / "x.srt"
    out.parent.mkdir()
    out.write_text("good", encoding="utf-8")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        code = transcribe(path, "-o", str(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == Exit.USAGE and f"{out} can't be written: File too large." in capsys.readouterr().err
    assert [each.name for each in out.parent.iterdir()] == ["x.srt"] and out.read_text(encoding="utf-8") == "good"


def test_a_directory_that_takes_no_files_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An hour of transcription later it would be too late."""

    def refuse(self: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "x.wav", tone(440, 1, RATE), rate=RATE)
    monkeypatch.setattr(Path, "touch", refuse)
    for output in (tmp_path / "x.srt", tmp_path):
        with server(sends(FINAL)) as fake:
            assert cli.main(["transcribe", str(path), "--url", fake.url, "-o", str(output)]) == Exit.USAGE
        assert "can't be written: Permission denied." in capsys.readouterr().err
        assert not fake.requests


# --- pipes -----------------------------------------------------------------------------------------


def piped(url: str, *options: str) -> subprocess.Popen[bytes]:
    script = "import sys; from wernicke_daemon import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "transcribe", "--url", url, *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("ending", ["wav", "m4a"])
def test_standard_input_is_read(ending: str, tmp_path: Path) -> None:
    """`-`; in a directory its transcript is called stdin."""
    path = write(tmp_path / f"x.{ending}", tone(440, 2, RATE), rate=RATE)
    with server(sends(FINAL)) as fake, piped(fake.url, "-", "-o", str(tmp_path)) as process:
        out, err = process.communicate(path.read_bytes(), timeout=60)
    assert (process.returncode, out.decode().splitlines(), err) == (0, [LINE], b"")
    assert (tmp_path / "stdin.txt").read_text(encoding="utf-8") == f"{LINE}\n"
    assert len(fake.audio) == pytest.approx(4 * 2 * RATE, abs=4 * 2100)


def test_what_is_no_media_in_a_pipe_is_one_sentence(tmp_path: Path) -> None:
    """As in a file; an empty pipe, too."""
    for data in (b"no audio in here\n" * 100, b""):
        with server(sends(FINAL)) as fake, piped(fake.url, "-") as process:
            out, err = process.communicate(data, timeout=60)
        assert process.returncode == Exit.INPUT and out == b""
        assert err.startswith(b"error: standard input can't be read: ") and err.count(b"\n") == 1


@posix
def test_a_named_pipe_is_read_once_and_can_be_interrupted(tmp_path: Path) -> None:
    """Before anybody writes to it, and in its middle: Ctrl-C ends it."""
    data = write(tmp_path / "x.wav", tone(440, 2, RATE), rate=RATE).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with server(sends(FINAL)) as fake:
        with piped(fake.url, str(pipe)) as process:
            pipe.write_bytes(data)
            assert process.communicate(timeout=60)[0].decode() == f"{LINE}\n"
        assert process.returncode == 0
        with piped(fake.url, str(pipe)) as process, pipe.open("wb", buffering=0) as out:
            out.write(data[: len(data) // 2])
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130 and process.stderr is not None and process.stderr.read() == b""


# --- the whole -------------------------------------------------------------------------------------


def test_subtitles_fit_a_picture_that_begins_before_the_sound(tmp_path: Path) -> None:
    """With the real daemon: the times of the clip, and 5 s."""
    with av.open(str(wire.CLIP)) as clip:
        resampler = av.AudioResampler("flt", "mono", RATE)
        frames = [r for frame in clip.decode(audio=0) for r in resampler.resample(frame)]
    speech = np.concatenate([frame.to_ndarray()[0] for frame in frames])[: 12 * RATE, None]
    plain = write(tmp_path / "plain.mkv", speech, rate=RATE)
    late = write(tmp_path / "late.mkv", speech, rate=RATE, picture_s=18, stamp=lambda s: s + 5)
    with serving(tmp_path) as (_, port):
        url = f"ws://127.0.0.1:{port}/transcribe"
        arguments = ["transcribe", str(plain), str(late), "--url", url, "-o", str(tmp_path), "--format", "json"]
        assert cli.main(arguments) == 0
    begins = [
        [final["timestamp_range"]["start"] for final in json.loads((tmp_path / name).read_text(encoding="utf-8"))]
        for name in ("plain.json", "late.json")
    ]
    assert len(begins[0]) >= 2
    assert begins[1] == pytest.approx([start + 5 for start in begins[0]], abs=0.15)
