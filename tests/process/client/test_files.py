"""Audio files that are sent."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wernicke_daemon.formats import audio_files


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
