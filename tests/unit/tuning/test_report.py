"""`wernicke report`: files in, a page out."""

import bz2
import gzip
import lzma
import os
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipc.messages import STAGES, LeftOut, Refusal
from tests.unit.tuning.log_lines import BEGAN, line, utterance
from wernicke_daemon import cli
from wernicke_daemon.client import Exit
from wernicke_daemon.tuning import log_files
from wernicke_daemon.tuning.lines import read
from wernicke_daemon.tuning.log_files import LONGEST_LINE, Found, summarised
from wernicke_daemon.tuning.page import Language, _said, document
from wernicke_daemon.tuning.summary import Summary


def test_older_files_compressed_or_not(tmp_path: Path) -> None:
    """All that belong to the log, the oldest first; nothing that only begins like it."""
    log = tmp_path / "wernicke.jsonl"
    written = {
        "wernicke.jsonl-20260101.xz": lzma.compress(utterance(0)),
        "wernicke.jsonl.3.bz2": bz2.compress(utterance(1)),
        "wernicke.jsonl.2.gz": gzip.compress(utterance(2)) + gzip.compress(utterance(3)),
        "wernicke.jsonl.1": utterance(4),
        "wernicke.jsonl": utterance(5).rstrip(b"\n"),
        "wernicke.jsonls": utterance(6),
        "other.jsonl": utterance(7),
    }
    for number, (name, content) in enumerate(written.items()):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    files = log_files.of_log(log)
    assert [path.name for path in files] == list(written)[:5]
    told: list[int] = []
    found = summarised(files, told=told.append)
    assert (found.summary.utterances, found.problems) == (6, [])
    assert sum(told) == log_files.size(files)


def test_files_that_are_damaged_cost_no_others(tmp_path: Path) -> None:
    """What is before the damage counts, and a sentence says where it is."""
    cut, foreign, missing = tmp_path / "cut.gz", tmp_path / "none.xz", tmp_path / "missing.jsonl"
    cut.write_bytes(gzip.compress(b"".join(utterance(n, session=os.urandom(50).hex()) for n in range(2000)))[:-50_000])
    foreign.write_bytes(b"this is no archive")
    good = tmp_path / "good.jsonl"
    good.write_bytes(utterance())
    found = summarised([cut, foreign, missing, good])
    assert 100 < found.summary.utterances < 2000
    named = [
        path for path, problem in zip((cut, foreign, missing), found.problems, strict=True) if str(path) in problem
    ]
    assert named == [cut, foreign, missing]


def test_a_line_without_an_end(tmp_path: Path) -> None:
    """It is passed over without being held, and what follows it is read."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"event": "' + b"x" * (3 * LONGEST_LINE) + b'"}\n' + utterance())
    summary = summarised([log]).summary
    assert (summary.faults["malformed"], summary.utterances) == (1, 1)


def test_old_files_are_not_opened(tmp_path: Path) -> None:
    """With --since, a file that was last written before that has nothing of it."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(utterance())
    os.utime(log, (1000, 1000))
    told: list[int] = []
    assert summarised([log], since=5000.0, told=told.append).files == []
    assert sum(told) == log.stat().st_size


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line since then is missed, whatever else stands in the log; what is long before it is not read."""
    monkeypatch.setattr(log_files, "SEEK_BYTES", 1000)
    log = tmp_path / "log.jsonl"
    broken = b'{"of": "another program"}\n' * 50
    order = [n - n % 20 + (20 - n % 20) for n in range(3000)]  # those of one moment are written in any order
    log.write_bytes(b"".join(utterance(n) + (broken if n % 100 == 0 else b"") for n in order))
    for since in range(0, 3000, 179):
        summary = summarised([log], since=BEGAN + since).summary
        assert summary.utterances == sum(n >= since for n in order)
        assert not summary.faults["malformed"]  # no line is read from its middle on
        assert summary.read < 1.6 * (3000 - since) + 300


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is written where it is wanted, of the log that settings name or of one that is named."""
    config, page = tmp_path / "config.toml", tmp_path / "page.html"
    config.write_text("[asr]\nbeam_size = 7\n", encoding="utf-8")
    command = ["report", "--config", str(config), "-o", str(page), "--language", "ja"]
    assert cli.main(command) == Exit.INPUT
    assert "There is no log" in capsys.readouterr().err
    log = tmp_path / "data" / "logs" / "wernicke.jsonl"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"".join(utterance(n, run_ms={"asr": 4000.0}, latency_ms=900.0) for n in range(30)))
    assert cli.main(command) == Exit.OK
    text = page.read_text(encoding="utf-8")
    assert "asr.beam_size" in text and "現在 7" in text
    assert cli.main([*command, "--since", "1d"]) == Exit.EMPTY  # the lines are of another year
    assert cli.main(["report", str(log), "-o", str(page)]) == Exit.OK
    assert cli.main([*command[:-3], str(tmp_path / "no" / "page.html")]) == Exit.USAGE


@pytest.mark.parametrize("since", ["yesterday", "2", "h", "-1h", "1h30m"])
def test_a_time_that_is_none(since: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says what one looks like."""
    with pytest.raises(SystemExit):
        cli.main(["report", f"--since={since}"])
    assert "such as 2h" in capsys.readouterr().err


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(tmp_path: Path, language: Language) -> None:
    """No script, no address of another host; what a log has for names is shown as text."""
    evil = "<script>alert(1)</script>"
    log = tmp_path / "a&b.jsonl"
    names = {evil: 1, "lead": 1, "hint.queues": 1, "a.b": 1}
    fields = {"left_out": names, "outcome": evil, "session": evil, "warnings": list(names), "refused_for": names}
    events = [line("stage_died", 1, stage=evil, reason=evil), line("shedding", 2)]
    log.write_bytes(b"".join([*(utterance(n, corrections_refused=1, **fields) for n in range(3)), *events]))
    text = document(summarised([log]), language)
    assert "<script" not in text and "&lt;script&gt;" in text and "a&amp;b.jsonl" in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\bsrc=|\bhref=|@import|url\(|style=", text)
    assert text.count("<svg") >= 5


NUMBERS = st.floats(-1e8, 1e8) | st.sampled_from([0.0, -0.0, 1e-300, 1e8])
SPANS = st.dictionaries(st.sampled_from(STAGES), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3))


@given(st.lists(st.tuples(NUMBERS, NUMBERS.map(abs), NUMBERS.map(abs), SPANS), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_no_figures_are_too_odd_for_the_page(lines: list[tuple[float, float, float, dict[str, object]]]) -> None:
    """Whatever stands in a log."""
    summary = Summary()
    for at, waited, worked, spans in lines:
        of = utterance(at, latency_ms=waited, ready_ms=worked, final_s=worked, audio_s=waited, worked_ms=spans)
        summary.take(read(of))
    assert summary.utterances == len(lines)
    assert not re.search("nan|inf[^o]", document(Found(summary, [], []), "en").partition("</style>")[2])


def test_words_are_there_in_both_languages_with_the_same_blanks() -> None:
    """A sentence is complete in each, and every reason has one."""
    reasons = {f"refused.{why}" for why in get_args(Refusal)} | {f"left_out.{why}" for why in get_args(LeftOut)}
    assert reasons <= _said().keys()
    for key, said in _said().items():
        blanks = [set(re.findall(r"{(\w+)}", said[language])) for language in ("en", "ja")]
        assert said.keys() == {"en", "ja"} and blanks[0] == blanks[1], key
