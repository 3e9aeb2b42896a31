"""Which files belong together, and what is shown of an evaluation."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.unit.test_evaluation_measures import HEARD, REFERENCE, TURNS, final, segment
from wernicke_daemon.evaluation import diarization, report
from wernicke_daemon.evaluation.clips import clips
from wernicke_daemon.evaluation.evaluating import Evaluation, judge
from wernicke_daemon.evaluation.measures import Heard, heard_speech
from wernicke_daemon.evaluation.page import Shown, flac, page
from wernicke_daemon.evaluation.pairing import paired
from wernicke_daemon.evaluation.reference import BadReference, Stretch
from wernicke_daemon.evaluation.worst import Both, compared, text_within, worst


def files(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).touch()
    return tmp_path


def test_a_reference_is_of_its_name_or_of_several_recordings(tmp_path: Path) -> None:
    """The longest that fits; all files of that name together."""
    folder = files(
        tmp_path,
        *("a.m4a", "a.txt", "a.rttm", "ab.wav", "talk_room.16k.flac", "talk.json"),
        *("talk_table.flac", "talk_table.srt", "notes.md", "page.html"),
    )
    pairs, without = paired(folder)
    assert {pair.recording.name: [path.name for path in pair.references] for pair in pairs} == {
        "a.m4a": ["a.rttm", "a.txt"],
        "talk_room.16k.flac": ["talk.json"],
        "talk_table.flac": ["talk_table.srt"],
    }
    assert [path.name for path in without] == ["ab.wav"]


def test_nothing_to_judge_by(tmp_path: Path) -> None:
    """Says what to put there."""
    with pytest.raises(BadReference, match=r"put meeting\.txt"):
        paired(files(tmp_path, "a.wav"))
    with pytest.raises(BadReference, match="is no folder"):
        paired(tmp_path / "nowhere")


def test_utterances_beside_what_was_said() -> None:
    """Missing words are with the utterance before; the worst come first, good ones not at all."""
    first, second, third = compared(TURNS, HEARD.finals, "character")
    assert (first.errors, second.errors, third.errors) == (1, 0, 3)
    assert Both("ぞ", "も") in first.pairs and third.pairs == (Both("", "ご"), Both("", "視"), Both("", "聴"))
    assert [one.start for one in worst(TURNS, HEARD.finals, "character", 5)] == [20.0, 0.5]
    assert len(worst(TURNS, HEARD.finals, "character", 1)) == 1
    assert compared(TURNS, [], "character") == []
    [only] = compared(TURNS, HEARD.finals[1:2], "character")
    assert "".join(pair.said for pair in only.pairs) == "始めますはいどうぞ以上です"


def evaluation(name: str, heard: Heard = HEARD) -> Evaluation:
    return Evaluation(name, (judge(Path("a.wav"), REFERENCE, heard, "ja"),), {"whisper": "tiny"})


def test_two_settings_are_compared() -> None:
    """A column each, and the difference; rows that nothing was measured for are left out."""
    better = Heard(HEARD.finals[:2], HEARD.arrived[:2], 30.0)
    rows = {row[0]: row[1:] for row in report.table([evaluation("a"), evaluation("b", better)])}
    assert rows[""] == ["a", "b", "difference"]
    assert rows["character error rate"] == ["30.8%", "7.7%", "-23.1 points"]
    assert rows["invented characters"] == ["3", "0", "-3"]
    assert "word error rate" not in rows
    found = json.loads(json.dumps(report.as_json([evaluation("a"), evaluation("b", better)], realtime=True)))
    assert (found["cer"], found["against"]["cer"]) == (0.3077, 0.0769)
    assert found["recordings"]["a.wav"]["invented_chars"] == 3


def test_what_correction_does_not_do_is_said() -> None:
    """Where it leaves the error rate as it was, or raises it."""
    spoilt = [final(0.5, 6.5, segment(0.5, 2.5, "S0", "初めます。", "始めます。"))]
    sentence = "Correction does not lower the error rate on these recordings."
    assert sentence in report.notes([evaluation("a", Heard(spoilt, [], 30.0))], realtime=True)
    assert sentence not in report.notes([evaluation("a")], realtime=True)


def test_what_the_daemon_warned_of_is_said() -> None:
    """In real time work is left out where it is late, and then the figures are of less than the settings ask for."""
    late = [one | {"warnings": ["LLM_TIMEOUT"]} for one in HEARD.finals[:2]]
    found = evaluation("a", Heard([*late, HEARD.finals[2]], [], 30.0))
    assert "a: warnings, of 3 utterances: LLM_TIMEOUT in 2." in report.notes([found], realtime=True)
    assert report.as_json([found], realtime=True)["warnings"] == {"LLM_TIMEOUT": 2}
    assert not any("warnings" in note for note in report.notes([evaluation("a")], realtime=True))


def test_the_diarization_error_rate() -> None:
    """Swapped names are no error; a second under the wrong label of four is a quarter."""
    pytest.importorskip("pyannote.metrics", reason="the extra `eval` is not installed")
    truth = [Stretch(0, 2, "A"), Stretch(3, 5, "B")]
    strict, _ = diarization.errors(truth, [Stretch(0, 2, "x"), Stretch(3, 5, "y")], 6.0)
    assert (strict.rate, strict.total) == (0.0, 4.0)
    strict, lenient = diarization.errors(truth, [Stretch(0, 2, "x"), Stretch(3, 4, "x"), Stretch(4, 5, "y")], 6.0)
    assert strict.told() == {"der": 0.25, "confusion": 0.25, "missed": 0.0, "false": 0.0}
    assert lenient.total == 3.0  # a quarter of a second is not scored on both sides of four changes
    assert judge(Path("a"), REFERENCE, HEARD, "ja").counts.strict.total == 5.5
    assert heard_speech(HEARD.finals)


def test_without_the_extra_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """All else is measured."""
    monkeypatch.setattr(diarization, "is_installed", lambda: False)
    found = report.as_json([evaluation("a")], realtime=False)
    assert found["der"] is None and found["speakers_right"] is not None
    assert any('pip install ".[eval]"' in note for note in found["notes"])


def test_the_page_has_the_sounds_within_it(tmp_path: Path) -> None:
    """Text of people is text; what differs is marked on both sides; nothing is loaded from elsewhere."""
    [utterance] = worst(TURNS, HEARD.finals[:1], "character", 1)
    utterance = utterance._replace(text="<b>Ann</b>")
    sound = np.linspace(-1, 1, 800, dtype=np.float32)
    shown = Shown("a.wav", utterance, sound, (text_within(HEARD.finals, 0.0, 6.5),))
    text = page("Evaluation", [["", "a", "b", "difference"], ["CER", "1 %", "2 %", "1"]], ["a note"], [shown], "")
    assert "&lt;b&gt;Ann" in text and "<b>" not in text and "http" not in text
    assert text.count("gets it, ") == 2 and "<td><pre>S0: 始めます。" in text
    assert "<del>ぞ" in text and "<ins>も</ins>" in text
    [encoded] = re.findall(r'src="data:audio/flac;base64,([^"]+)"', text)
    assert np.allclose(decoded(base64.b64decode(encoded)), sound, atol=1e-4)


def decoded(data: bytes) -> Any:
    with av.open(io.BytesIO(data)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)]) / 32768


async def test_stretches_of_recordings(tmp_path: Path) -> None:
    """Over the borders of what is read at once; beyond the end there is nothing."""
    sound = (np.arange(64_000) % 251 / 1000).astype(np.float32)
    (tmp_path / "a.flac").write_bytes(flac(sound))
    long, past = await clips([(tmp_path / "a.flac", 0.5, 3.5), (tmp_path / "a.flac", 3.9, 9.0)])
    assert np.allclose(long, sound[8_000:56_000], atol=1e-4) and np.allclose(past, sound[62_400:], atol=1e-4)
