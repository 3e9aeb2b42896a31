"""What is taken from lines of a log."""

import json
import random
import re
from pathlib import Path
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tuning.log_lines import BEGAN, line, utterance
from wernicke_daemon.tuning import lines, waits
from wernicke_daemon.tuning.histogram import Histogram
from wernicke_daemon.tuning.lines import Utterance
from wernicke_daemon.tuning.summary import LATEST, MOST_NAMES, Summary
from wernicke_daemon.tuning.timeline import Timeline


def summary(*of: bytes, since: float = 0.0) -> Summary:
    found = Summary()
    for each in of:
        found.take(lines.read(each, since))
    return found


def causes(**fields: object) -> dict[str, float]:
    """Those that took any time."""
    read = lines.read(utterance(**fields))
    assert isinstance(read, Utterance)
    found = waits.causes(read)
    assert found is not None and sum(found.values()) == pytest.approx(read.latency_ms)
    return {cause: milliseconds for cause, milliseconds in found.items() if milliseconds}


def test_quantiles_without_the_values() -> None:
    """Within the width of a bucket, whatever the values are."""
    chance = random.Random(1)
    values = [chance.lognormvariate(6, 2) for _ in range(5000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = quantiles(values, n=100)
    for percent in (50, 95, 99):
        assert histogram.quantile(percent / 100) == pytest.approx(exact[percent - 1], rel=0.04)
    assert histogram.quantile(1.0) == pytest.approx(max(values), rel=0.03)
    assert len(histogram.counts) < 500


def test_a_timeline_stays_small_and_loses_nothing() -> None:
    """Slots grow wider as time goes on; a night without results costs none, nor does a wrong clock."""
    timeline = Timeline(most=10)
    for second in [*range(0, 1000, 10), 10**9, *range(10**6, 10**6 + 500, 10)]:
        timeline.at(float(second)).latency_ms.add(1.0)
    slots = list(timeline)
    assert len(slots) <= 10
    assert sum(len(slot.latency_ms) for _, slot in slots) == 151
    assert [at for at, _ in slots] == sorted(at for at, _ in slots)


def test_work_counts_when_it_was_done() -> None:
    """A long job is not of the moment at which its result left; nor does a wrong number make slots for years."""
    found = summary(utterance(100, latency_ms=0.0, ready_ms=0.0, worked_ms={"asr": [[-40_000.0, 0.0]]}))
    worked = [slot.worked_ms["asr"] for _, slot in found.timeline]
    assert sum(worked) == pytest.approx(40_000) and max(worked) <= 15_000
    found = summary(utterance(100, worked_ms={"asr": [[-1e8, 0.0]]}, live_ms=1e8, latency_ms=1e8))
    assert len(list(found.timeline)) < 100


def test_what_a_result_waited_for() -> None:
    """Of two side by side the slower; what was done before the end costs nothing; then correction, then the order."""
    assert causes() == {"diarization_run": 600, "correction_queue": 100, "correction_run": 400, "order": 100}


def test_a_result_that_was_ready_at_its_end() -> None:
    """All work was early."""
    early = {"asr": [[-900.0, -400.0]], "diarization": [[-900.0, -200.0]], "correction": [[-200.0, -1.0]]}
    assert causes(worked_ms=early, latency_ms=2.0, ready_ms=0.5) == {"other": 0.5, "order": 1.5}


def test_a_result_that_a_stage_was_too_late_for() -> None:
    """The wait is for an answer that never came into it."""
    worked = {"asr": [[0.0, 400.0]], "diarization": [[0.0, 300.0]]}
    late = causes(worked_ms=worked, warnings=["LLM_TIMEOUT"], ready_ms=1200.0)
    assert late == {"asr_run": 400, "late": 800}


def test_an_older_daemon_does_not_say_what_its_results_waited_for() -> None:
    """Its lines count all the same."""
    found = summary(utterance(worked_ms={}), utterance())
    assert (found.utterances, len(found.waits), len(found.latest)) == (2, 1, 1)


def test_the_slowest_by_themselves() -> None:
    """What makes them slow is something else than what all wait for."""
    quick = utterance(worked_ms={"asr": [[0.0, 100.0]]}, latency_ms=100.0, ready_ms=100.0)
    slow = utterance(
        worked_ms={"asr": [[0.0, 100.0]], "correction": [[900.0, 1000.0]]}, latency_ms=1000.0, ready_ms=1000.0
    )
    found = summary(*[quick] * 9, slow).waits
    assert found.mean()["asr_run"] == pytest.approx(100)
    assert found.mean(slowest=0.1)["correction_queue"] == pytest.approx(800)


def test_lines_that_are_none() -> None:
    """Broken, foreign and of another version are counted apart, and the rest is read."""
    found = summary(
        b"",
        b'{"event": "utteran',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b'{"msg": "from something else"}',
        b'{"event": "utterance", "timestamp": "yesterday", "latency_ms": 1}',
        line("utterance", latency_ms="fast"),
        line("stage_died", stage=["asr"]),
        line("utterance", latency_ms=1e12),
        line("utterance", at=-1_600_000_000.0, latency_ms=1.0),
        line("something_new", whatever=1),
        utterance(),
    )
    assert dict(found.faults) == {"malformed": 4, "foreign": 3, "other_version": 3}
    assert (found.read, found.utterances) == (12, 1)


FIELDS = st.sampled_from(["timestamp", "event", "latency_ms", *Utterance.__struct_fields__])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dictionaries(st.text(), st.integers())


@given(st.binary(max_size=60) | st.dictionaries(FIELDS, VALUES).map(lambda each: utterance()[:-2] + rest(each)))
def test_no_line_is_an_error(of: bytes) -> None:
    """Whatever is in it."""
    summary(of)


def rest(fields: dict[str, object]) -> bytes:
    """Of an object that goes on with these."""
    return b", " + json.dumps({"": 0, **fields}).encode()[1:] + b"\n"


def test_events_are_those_of_the_log() -> None:
    """None has another name by now; those that are as it should be are logged as such."""
    document = (Path(__file__).parents[3] / "docs" / "logging.md").read_text(encoding="utf-8")
    levels = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", document, re.MULTILINE))
    assert levels.keys() >= lines.TROUBLE | lines.STARTS
    assert {levels[event] for event in lines.STARTS} == {"info"}


def test_since() -> None:
    """Older lines have no part in it."""
    found = summary(utterance(0), line("stage_died", 1, stage="asr"), utterance(100), since=BEGAN + 50)
    assert (found.utterances, found.events["stage_died"], found.first) == (1, 0, BEGAN + 100)


def test_memory_is_bounded() -> None:
    """Of foreign names as of utterances and ends of stages."""
    found = Summary()
    for number in range(1000):
        at = float(number)
        found.take(lines.read(utterance(at, left_out={f"reason {number}": 1}, warnings=[f"CODE_{number}"])))
        found.take(lines.read(line("stage_died", at, stage=f"stage {number}", reason="r" * 1000)))
    assert len(found.left_out) <= MOST_NAMES + 1 and found.left_out.total() == 1000
    assert len(found.warnings) <= MOST_NAMES + 1
    assert len(found.endings) == 100 and all(len(each.why) <= 200 for each in found.endings)
    assert [each.left for each in found.latest] == [BEGAN + at for at in range(1000 - LATEST, 1000)]


def test_what_became_of_texts() -> None:
    """Corrections by reason, text left out by reason, ends of stages with their exit codes."""
    found = summary(
        utterance(corrections_accepted=2, corrections_refused=1, refused_for={"number": 1}),
        utterance(outcome="suppressed", left_out={"phantom": 2}),
        line("stage_died", 3, stage="asr", exit_code=-9, restart_in_s=0.5),
        line("ready", 4),
    )
    assert (found.accepted, found.refused, found.refused_for) == (2, 1, {"number": 1})
    assert (found.outcomes, found.left_out) == ({"final": 1, "suppressed": 1}, {"phantom": 2})
    assert [(each.stage, each.why) for each in found.endings] == [("asr", "-9")]
    assert found.starts == 1
