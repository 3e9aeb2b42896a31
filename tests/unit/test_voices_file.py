"""Voiceprints on disk: kept, listed, followed, and gone when they are deleted."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from wernicke_daemon.records.voices_file import FILE_NAME, KeptVoice, NoVoice, VoicesFile, VoicesUnusable
from wernicke_daemon.utterances.voiceprints import Voiceprint

NOW = 1_767_225_600.0


def printed(name: str, model: str = "ge2e", value: float = 0.123, size: int = 256) -> Voiceprint:
    return Voiceprint.of(name, model, np.full(size, value, np.float32), 20.0)


@pytest.fixture
def file(tmp_path: Path) -> VoicesFile:
    return VoicesFile(tmp_path / "data" / FILE_NAME)


def test_what_is_kept_is_there_again(file: VoicesFile) -> None:
    """One voice for each name and model; the same again takes its place."""
    assert file.prints() == [] and file.listed() == []
    for voice in (printed("田中"), printed("佐藤"), printed("田中", "wespeaker"), printed("田中", value=0.5)):
        file.enrol(voice, NOW)
    assert sorted(file.prints(), key=lambda voice: (voice.name, voice.model)) == [
        printed("佐藤"),
        printed("田中", value=0.5),
        printed("田中", "wespeaker"),
    ]
    assert file.listed()[0] == KeptVoice("佐藤", "ge2e", 20.0, "enrolled", NOW)


def test_nothing_is_made_by_looking(file: VoicesFile, tmp_path: Path) -> None:
    """Who keeps no voices has no file of them."""
    file.prints(), file.listed(), file.follow(printed("田中"), NOW)
    with pytest.raises(NoVoice):
        file.delete("田中")
    assert list(tmp_path.iterdir()) == []


def test_a_voice_is_followed_where_it_is_kept(file: VoicesFile) -> None:
    """And nowhere else: what was deleted meanwhile does not come back."""
    assert file.begin(printed("田中", value=0.0), NOW) and not file.begin(printed("田中", value=9.0), NOW)
    file.follow(printed("田中", value=1.0), NOW + 1)
    assert np.allclose(file.prints()[0].vector, 0.5)
    assert file.listed()[0] == KeptVoice("田中", "ge2e", 40.0, "remembered", NOW + 1)
    file.follow(printed("田中", size=192), NOW + 2)
    assert file.listed()[0].seconds == 40.0
    file.delete("田中")
    file.follow(printed("田中"), NOW + 3)
    assert file.listed() == []


def test_what_is_deleted_is_gone_from_the_disk(file: VoicesFile, tmp_path: Path) -> None:
    """Of every model, from the file and from what SQLite keeps beside it, while others have it open, too."""
    secret = np.random.default_rng(1).standard_normal(256).astype(np.float32)
    voice = Voiceprint.of("山田花子", "ge2e", secret, 20.0)
    file.enrol(voice, NOW)
    file.follow(Voiceprint.of("山田花子", "ge2e", -secret / 2, 5.0), NOW)
    file.enrol(Voiceprint.of("山田花子", "wespeaker", secret * 3, 20.0), NOW)
    file.enrol(printed("佐藤"), NOW)
    other = sqlite3.connect(tmp_path / "data" / FILE_NAME)
    other.execute("SELECT count(*) FROM voice").fetchall()
    assert _holds(tmp_path, "山田花子".encode())
    assert file.delete("山田花子") == 2
    assert [kept.name for kept in file.listed()] == ["佐藤"]
    assert not _holds(tmp_path, "山田花子".encode())
    assert not _holds(tmp_path, voice.mean[:64])
    other.close()


def test_an_unknown_name_is_told(file: VoicesFile) -> None:
    file.enrol(printed("佐藤"), NOW)
    with pytest.raises(NoVoice, match=r"no voice '田中'; `wernicke voices`"):
        file.delete("田中")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes; the user's folders are closed to others there")
def test_they_are_for_their_owner_alone(file: VoicesFile, tmp_path: Path) -> None:
    file.enrol(printed("佐藤"), NOW)
    assert (tmp_path / "data" / FILE_NAME).stat().st_mode & 0o077 == 0


def test_a_file_that_is_none_is_a_sentence(file: VoicesFile, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).write_bytes(b"no database" * 200)
    with pytest.raises(VoicesUnusable, match="can't be used"):
        file.prints()
    with pytest.raises(VoicesUnusable, match="can't be used"):
        file.enrol(printed("佐藤"), NOW)


def _holds(directory: Path, data: bytes) -> bool:
    return any(data in path.read_bytes() for path in directory.rglob("*") if path.is_file())
