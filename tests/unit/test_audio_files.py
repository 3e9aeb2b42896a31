"""Odd audio and video files, read as they should be: whole, on their own clock, from the right track."""

import asyncio
import os
import sys
import wave
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import media_files
from tests.media_files import quiet, tone, write
from wernicke_daemon.formats.audio_files import AudioFile, MediaError, reading
from wernicke_daemon.formats.file_clock import CUT_OFF, DAMAGED, HOLE

RATE = 16_000
LOW, HIGH = 440, 880

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes of this kind")


class Read(NamedTuple):
    file: AudioFile
    samples: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    def heard(self, hz: float) -> tuple[float, float]:
        """From when to when, in seconds, a tone is there, to 50 ms."""
        size = RATE // 20
        blocks = self.samples[: len(self.samples) // size * size].reshape(-1, size)
        turn = 2 * np.pi * hz * np.arange(size) / RATE
        there = np.flatnonzero(np.hypot(blocks @ np.cos(turn), blocks @ np.sin(turn)) / size > 0.1)
        assert len(there), f"{hz} Hz are not there"
        return float(there[0] * size / RATE), float((there[-1] + 1) * size / RATE)


async def read(path: Path, track: int | None = None, chunk_s: float = 0.1) -> Read:
    async with reading(path, RATE, track) as audio:
        chunks = [chunk async for chunk in audio.chunks(chunk_s)]
        return Read(audio.file, np.concatenate(chunks))


def usual_rate(ending: str, wanted: int) -> int:
    """Opus and AC-3 know few, and MP3 in FLV."""
    return 48_000 if ending in ("opus", "webm", "ac3") else wanted


def recording(path: Path, hz: float, rate: int, channels: int = 1, seconds: float = 2.0) -> Path:
    rate = usual_rate(path.suffix[1:], rate)
    return write(path, tone(hz, seconds, rate, channels), rate=rate)


@pytest.mark.parametrize("ending", media_files.CODECS)
async def test_a_good_file_is_read_whole_and_nothing_is_said(ending: str, tmp_path: Path) -> None:
    """Whatever its format rounds, and its encoder adds."""
    got = await read(recording(tmp_path / f"x.{ending}", LOW, 44_100, 2))
    assert got.heard(LOW) == pytest.approx((0, 2), abs=0.11)
    assert got.seconds == pytest.approx(2, abs=0.1) and got.file.skipped == []
    assert got.file.seconds == pytest.approx(got.seconds, abs=0.1)


async def test_chunks_have_the_asked_length(tmp_path: Path) -> None:
    """But for the last one."""
    path = write(tmp_path / "x.wav", tone(LOW, 2.5, 44_100, 2), rate=44_100)
    async with reading(path, RATE) as audio:
        assert audio.file.length == pytest.approx(2.5)
        sizes = [chunk.shape async for chunk in audio.chunks(0.04)]
    assert set(sizes[:-1]) == {(640,)} and sum(size for (size,) in sizes) == pytest.approx(40_000, abs=32)
    assert audio.file.peak == pytest.approx(0.5, abs=0.02)


# --- damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [ending for ending in media_files.CODECS if ending != "avi"])
async def test_joined_recordings_are_read_to_the_end_of_the_last(ending: str, tmp_path: Path) -> None:
    """Though rate and channels change: as `cat` makes them, and recorders that append."""
    low = recording(tmp_path / f"low.{ending}", LOW, 16_000 if ending != "flv" else 22_050)
    high = recording(tmp_path / f"high.{ending}", HIGH, 44_100, 2)
    got = await read(media_files.join(tmp_path / f"both.{ending}", [low, high]))
    assert got.heard(LOW) == pytest.approx((0, 2), abs=0.15)
    assert got.heard(HIGH) == pytest.approx((2, 4), abs=0.25)
    assert sum(each.seconds for each in got.file.skipped) < 0.1


async def test_recordings_of_several_formats_are_read_one_after_another(tmp_path: Path) -> None:
    """Each is looked for where the one before ends."""
    parts = [recording(tmp_path / f"{number}.{ending}", 200 * (number + 1), 48_000) for number, ending in
             enumerate(("wav", "flac", "m4a", "opus", "webm"))]  # fmt: skip
    got = await read(media_files.join(tmp_path / "all.wav", parts))
    for number in range(5):
        assert got.heard(200 * (number + 1)) == pytest.approx((2 * number, 2 * number + 2), abs=0.3)


@pytest.mark.parametrize("beginning", [b"fLaC\0\0\0\x22", b"\x1a\x45\xdf\xa3", b"\0\0\0\x20ftyp", b"OggS\0\x02"])
async def test_what_only_looks_like_a_joined_file_is_no_harm(beginning: bytes, tmp_path: Path) -> None:
    """Behind the end, and in the middle of damage."""
    path = recording(tmp_path / "x.wav", LOW, RATE)
    path.write_bytes(path.read_bytes() + b"LIST" + beginning + bytes(1000))
    assert (await read(path)).heard(LOW) == pytest.approx((0, 2), abs=0.1)
    path = recording(tmp_path / "x.mp3", LOW, 44_100, seconds=10)
    data = media_files.damage(path, 0.45, 0.47).read_bytes()
    at = int(len(data) * 0.46)
    path.write_bytes(data[:at] + beginning + data[at + len(beginning) :])
    got = await read(path)
    assert got.heard(LOW) == pytest.approx((0, 10), abs=0.2) and len(got.file.skipped) == 1


@pytest.mark.parametrize("ending", ["mp3", "ac3", "opus", "webm", "flac", "mka", "m4a", "ts", "flv"])
async def test_what_follows_damage_is_read_where_it_belongs(ending: str, tmp_path: Path) -> None:
    """It is said where nothing could be read; silence is there."""
    rate = usual_rate(ending, 44_100)
    path = write(tmp_path / f"x.{ending}", np.concatenate([tone(LOW, 15, rate), tone(HIGH, 4, rate)]), rate=rate)
    got = await read(media_files.damage(path, 0.45, 0.47))
    assert got.heard(HIGH) == pytest.approx((15, 19), abs=0.3)
    [skipped] = [each for each in got.file.skipped if each.seconds > 0.05]
    assert skipped.reason in (DAMAGED, HOLE) and 4 < skipped.start < 9 and 0.1 < skipped.seconds < 6
    middle = got.samples[int((skipped.start + 0.05) * RATE) : int((skipped.end - 0.05) * RATE)]
    assert np.abs(middle).max(initial=0) < 0.01


@pytest.mark.parametrize("ending", ["wav", "flac", "mka", "webm", "flv", "mp3"])
async def test_a_file_that_breaks_off_is_told(ending: str, tmp_path: Path) -> None:
    """It says itself how long it should be."""
    path = media_files.cut(recording(tmp_path / f"x.{ending}", LOW, 44_100, seconds=10), 0.6)
    got = await read(path)
    assert 4 < got.seconds < 8
    told = got.file.skipped[-1]
    assert told.reason == CUT_OFF and told.end == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("length", [0, 0x7FFFFFFF, 0x80000024, 0xFFFFFFFF])
async def test_a_header_that_was_written_before_the_length_was_known_is_no_loss(length: int, tmp_path: Path) -> None:
    """By a program that wrote to a pipe, or a recorder that lost its power."""
    path = recording(tmp_path / "x.wav", LOW, 44_100)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = length.to_bytes(4, "little")
    path.write_bytes(data)
    got = await read(path)
    assert got.heard(LOW) == pytest.approx((0, 2), abs=0.1) and got.file.skipped == []


async def test_an_interrupted_copy_without_its_index_is_one_sentence(tmp_path: Path) -> None:
    """Which says that it is one."""
    path = media_files.cut(recording(tmp_path / "x.m4a", LOW, 44_100, seconds=10), 0.6)
    with pytest.raises(MediaError, match=r"x\.m4a can't be read: its index is missing"):
        await read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no file can have such a name")
async def test_a_file_name_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorders like to name files by the time of day."""
    monkeypatch.chdir(recording(tmp_path / "x.wav", LOW, RATE).parent)
    Path("x.wav").rename("2026-01-01T10:30.wav")
    assert (await read(Path("2026-01-01T10:30.wav"))).seconds == 2


async def test_files_that_hold_no_audio_are_refused_by_name(tmp_path: Path) -> None:
    """Missing, a directory, not media, a picture: one sentence with the path."""
    (tmp_path / "note.txt").write_text("no audio in here", encoding="utf-8")
    write(tmp_path / "silent.mp4", rate=RATE, picture_s=1)
    for path in (tmp_path / "missing.wav", tmp_path, tmp_path / "note.txt", tmp_path / "silent.mp4"):
        with pytest.raises(MediaError, match="can't be read: ") as failed:
            await read(path)
        assert str(path) in str(failed.value)


async def test_a_file_without_a_sample_is_refused(tmp_path: Path) -> None:
    """Once it is at its end."""
    path = tmp_path / "x.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
    with pytest.raises(MediaError, match="there is no sound in it"):
        await read(path)


# --- times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
async def test_sound_that_starts_after_the_picture_keeps_its_distance(ending: str, tmp_path: Path) -> None:
    """Subtitles fit the picture."""
    path = write(tmp_path / f"x.{ending}", tone(LOW, 12, RATE), rate=RATE, picture_s=18, stamp=lambda s: s + 5)
    got = await read(path)
    assert got.heard(LOW) == pytest.approx((5, 17), abs=0.15)
    assert got.file.skipped == []


async def test_a_hole_in_the_time_stamps_is_silence(tmp_path: Path) -> None:
    """What comes after it is where its time stamps say, and the hole is told."""
    sound = np.concatenate([tone(LOW, 2.048, RATE), tone(HIGH, 2, RATE)])
    got = await read(write(tmp_path / "x.mkv", sound, rate=RATE, stamp=lambda s: s + 10 * (s >= 2.048)))
    assert got.heard(LOW) == pytest.approx((0, 2.05), abs=0.1)
    assert got.heard(HIGH) == pytest.approx((12.05, 14.05), abs=0.1)
    [hole] = got.file.skipped
    assert (hole.start, hole.end, hole.reason) == (pytest.approx(2.05, abs=0.1), pytest.approx(12.05, abs=0.1), HOLE)


# --- tracks and channels ---------------------------------------------------------------------------


async def test_the_default_track_is_taken(tmp_path: Path) -> None:
    """As FFmpeg does; the others are named, and can be asked for."""
    path = write(tmp_path / "x.mkv", quiet(2, RATE), tone(LOW, 2, RATE), tone(HIGH, 2, RATE), rate=RATE, default=1)
    got = await read(path)
    assert got.heard(LOW) == pytest.approx((0, 2), abs=0.1)
    assert (str(got.file.track), [str(other) for other in got.file.others]) == ("2 (default)", ["1", "3"])
    other = await read(path, track=3)
    assert other.heard(HIGH) == pytest.approx((0, 2), abs=0.1) and other.file.track.number == 3


@pytest.mark.parametrize("track", [0, 4, -1])
async def test_a_track_that_is_not_there_is_refused(track: int, tmp_path: Path) -> None:
    """With those that are."""
    path = write(tmp_path / "x.mkv", quiet(1, RATE), tone(LOW, 1, RATE), rate=RATE, default=1)
    with pytest.raises(MediaError, match=rf"it has no audio track {track}, only 1, 2 \(default\)"):
        await read(path, track=track)


async def test_channels_that_cancel_each_other_are_heard(tmp_path: Path) -> None:
    """A cable with one side inverted."""
    sound = tone(LOW, 2, RATE)
    got = await read(write(tmp_path / "x.wav", np.concatenate([sound, -sound], axis=1), rate=RATE))
    assert got.heard(LOW) == pytest.approx((0, 2), abs=0.1) and got.file.peak == pytest.approx(0.5, abs=0.05)


async def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    """A server takes them for no audio."""
    sound = np.concatenate([tone(LOW, 0.5, RATE), np.full((RATE // 2, 1), np.nan, np.float32)])
    path = write(tmp_path / "x.mkv", sound, rate=RATE, codec="pcm_f32le")
    got = await read(path)
    assert got.seconds == 1 and np.isfinite(got.samples).all() and got.heard(LOW) == pytest.approx((0, 0.5), abs=0.05)


# --- pipes -----------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("ending", ["wav", "mp3", "m4a", "mkv", "opus"])
async def test_a_pipe_is_read_once(ending: str, tmp_path: Path) -> None:
    """Also what has its index at its end."""
    data = recording(tmp_path / f"x.{ending}", LOW, 44_100, seconds=20).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = asyncio.create_task(asyncio.to_thread(pipe.write_bytes, data))
    got = await read(pipe)
    await writer
    assert got.heard(LOW) == pytest.approx((0, 20), abs=0.1)


@posix
async def test_a_pipe_that_has_nothing_to_read_holds_up_nobody(tmp_path: Path) -> None:
    """The event loop goes on, before anybody writes to it and in its middle; who waits can be cancelled."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = recording(tmp_path / "x.wav", LOW, RATE).read_bytes()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    waiting = asyncio.create_task(read(pipe))
    while turns < 100:
        await asyncio.sleep(0)
    with await asyncio.to_thread(pipe.open, "wb", buffering=0) as out:
        out.write(data[:RATE])
        before = turns
        while turns < before + 100:
            await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    counting.cancel()
    assert waiting.cancelled()
