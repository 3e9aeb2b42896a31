"""The voices of a session and their names: given, recognised, and kept with all that is known of them."""

import msgspec
import numpy as np
import pytest

from ipc.messages import Piece
from wernicke_daemon.utterances.titles import BadName
from wernicke_daemon.utterances.voiceprints import Voiceprint
from wernicke_daemon.utterances.voices import Known, Voices

SAME = 0.7
SHE, HE, OTHER = np.eye(3, dtype=np.float32)


def said(who: np.ndarray, seconds: float = 5.0) -> Piece:
    return Piece(0.0, seconds, 0, seconds, tuple(who.tolist()))


def two_voices() -> tuple[Voices, list[int | None]]:
    """One row of each."""
    voices = Voices()
    rows = voices.hear([said(SHE)], SAME, "ge2e") + voices.hear([said(HE)], SAME, "ge2e")
    assert voices.names(rows) == ["Speaker_00", "Speaker_01"]
    return voices, rows


def printed(name: str, who: np.ndarray, model: str = "ge2e") -> Voiceprint:
    return Voiceprint.of(name, model, who, 20.0)


def test_a_name_is_that_of_all_its_speech() -> None:
    """What was said before, and what comes."""
    voices, rows = two_voices()
    voices.call("Speaker_01", "田中")
    rows += voices.hear([said(HE)], SAME, "ge2e")
    assert voices.names(rows) == ["Speaker_00", "田中", "田中"]


def test_names_are_kept_with_the_voices() -> None:
    """As the journal and the store have them; the same object as long as nothing changes."""
    voices, _ = two_voices()
    before = voices.known()
    voices.call("Speaker_01", "田中")
    voices.recognise([printed("佐藤", SHE)])
    known = voices.known()
    assert known is voices.known() is not before
    again = Voices(msgspec.json.decode(msgspec.json.encode(known), type=Known))
    assert again.names(again.hear([said(HE), said(SHE)], SAME, "ge2e")) == ["田中", "佐藤"]
    assert before.given == {} and known.given == {"Speaker_01": "田中"}


def test_a_preview_has_them_too() -> None:
    voices, _ = two_voices()
    voices.call("Speaker_00", "佐藤")
    copy = voices.copy()
    assert copy.names(copy.hear([said(SHE)], SAME, "ge2e")) == ["佐藤"]


def test_only_voices_that_there_are_can_be_named() -> None:
    voices, _ = two_voices()
    with pytest.raises(BadName, match="there are: Speaker_00, Speaker_01"):
        voices.call("Speaker_02", "田中")


def test_who_is_known_is_recognised() -> None:
    """And nobody else."""
    voices, rows = two_voices()
    voices.recognise([printed("田中", HE), printed("鈴木", OTHER)])
    assert voices.names(rows) == ["Speaker_00", "田中"]


def test_whom_somebody_named_is_not_recognised_as_another() -> None:
    """Nor a second voice as one who is there by name, nor one whose name was taken back."""
    voices, rows = two_voices()
    voices.call("Speaker_01", "佐藤")
    voices.recognise([printed("田中", HE), printed("佐藤", SHE)])
    assert voices.names(rows) == ["Speaker_00", "佐藤"]
    voices.call("佐藤", "Speaker_01")
    voices.recognise([printed("田中", HE)])
    assert voices.names(rows) == ["Speaker_00", "Speaker_01"]


def test_prints_are_of_those_whom_somebody_named() -> None:
    """Two voices of one name are one person; who was only recognised is nobody's word."""
    voices, _ = two_voices()
    voices.recognise([printed("鈴木", SHE)])
    assert voices.prints() == []
    voices.call("Speaker_01", "田中")
    (printed_,) = voices.prints()
    assert (printed_.name, printed_.model, printed_.seconds) == ("田中", "ge2e", 5.0)
    voices.call("Speaker_00", "田中")
    (both,) = voices.prints()
    assert both.seconds == 10.0
    assert both.vector == pytest.approx((printed_.vector[1]) * (SHE + HE) / 2)
