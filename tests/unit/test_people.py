"""Who is remembered by voice: from the naming on, as long as that name stands, and until somebody deletes it."""

from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from wernicke_daemon.records.voices_file import FILE_NAME, VoicesFile
from wernicke_daemon.sessions.people import People
from wernicke_daemon.utterances.voiceprints import Voiceprint


def printed(name: str, seconds: float = 10.0, model: str = "ge2e") -> Voiceprint:
    return Voiceprint.of(name, model, np.ones(4, np.float32), seconds)


@pytest.fixture
def file(tmp_path: Path) -> VoicesFile:
    return VoicesFile(tmp_path / FILE_NAME)


def kept(file: VoicesFile) -> dict[str, float]:
    """Seconds by name."""
    return {voice.name: voice.seconds for voice in file.listed()}


def test_whom_a_client_names_is_remembered(file: VoicesFile) -> None:
    """From then on; what the session goes on hearing of them is added at its end."""
    people = People(file, remember=True)
    people.named("s1", [], [printed("田中", 4.0)])
    people.over("s1", [printed("田中", 30.0)])
    people.close()
    assert kept(file) == {"田中": 34.0}
    assert [voice.name for voice in people.prints] == ["田中"]


def test_without_remembering_nothing_is_kept(file: VoicesFile, tmp_path: Path) -> None:
    """Who was enrolled is known, and stays as enrolled."""
    file.enrol(printed("佐藤"), 0.0)
    people = People(file, remember=False)
    people.look()
    people.named("s1", [], [printed("田中"), printed("佐藤")])
    people.over("s1", [printed("田中"), printed("佐藤")])
    people.close()
    assert kept(file) == {"佐藤": 10.0}
    assert [voice.name for voice in people.prints] == ["佐藤"]


def test_a_name_that_is_put_right_is_not_remembered(file: VoicesFile) -> None:
    """But where it was kept before, or is another voice's as well."""
    file.enrol(printed("佐藤"), 0.0)
    people = People(file, remember=True)
    people.named("s1", [], [printed("田中")])
    people.named("s1", ["田中"], [printed("佐藤")])
    people.named("s1", ["佐藤"], [printed("鈴木"), printed("高橋")])
    people.named("s1", ["鈴木", "高橋"], [printed("鈴木")])
    people.close()
    assert set(kept(file)) == {"佐藤", "鈴木"}


def test_another_session_does_not_take_back_what_this_one_began(file: VoicesFile) -> None:
    people = People(file, remember=True)
    people.named("s1", [], [printed("田中")])
    people.named("s2", [], [printed("田中")])
    people.named("s2", ["田中"], [printed("鈴木")])
    people.close()
    assert set(kept(file)) == {"田中", "鈴木"}


def test_who_is_deleted_meanwhile_stays_deleted(file: VoicesFile) -> None:
    """The end of a session does not bring anybody back."""
    people = People(file, remember=True)
    people.named("s1", [], [printed("田中")])
    people.close()
    file.delete("田中")
    again = People(file, remember=True)
    again.over("s1", [printed("田中")])
    again.close()
    assert kept(file) == {} and again.prints == ()


def test_a_file_that_can_not_be_used_harms_nobody(file: VoicesFile, tmp_path: Path) -> None:
    """What is known stays known."""
    people = People(file, remember=True)
    people.named("s1", [], [printed("田中")])
    people._thread.submit(lambda: (tmp_path / FILE_NAME).write_bytes(b"no database" * 500)).result()
    people.named("s1", [], [printed("佐藤")])
    people.close()
    assert [voice.name for voice in people.prints] == ["田中"]


def test_who_is_known_by_another_model_alone_is_told_once(file: VoicesFile) -> None:
    """Not with each utterance; again for who comes to it."""
    for voice in (printed("田中", model="wespeaker"), printed("佐藤"), printed("佐藤", model="wespeaker")):
        file.enrol(voice, 0.0)
    people = People(file, remember=False)
    people.prints = tuple(file.prints())
    with capture_logs() as lines:
        people.compare("ge2e")
        people.compare("ge2e")
    (line,) = lines
    assert line == {
        "event": "voices_not_compared",
        "log_level": "warning",
        "voices": 1,
        "model": "ge2e",
        "of": ["wespeaker"],
    }
    people.prints += (printed("鈴木", model="other"),)
    with capture_logs() as lines:
        people.compare("ge2e")
        people.compare("wespeaker")
    assert [(line["voices"], line["of"]) for line in lines] == [(2, ["other", "wespeaker"]), (1, ["other"])]
    people.close()
