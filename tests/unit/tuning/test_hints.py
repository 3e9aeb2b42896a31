"""Which setting to change, by what the log shows."""

import functools
from collections.abc import Iterable
from typing import Any

import pytest

from tests.unit.tuning.log_lines import line, utterance
from wernicke_daemon.config.schema import Config
from wernicke_daemon.tuning import lines
from wernicke_daemon.tuning.hints import RULES, hints
from wernicke_daemon.tuning.page import _said, _sentence, words
from wernicke_daemon.tuning.summary import Summary

AT_EASE: dict[str, Any] = {"latency_ms": 600.0, "ready_ms": 600.0}
BUSY: dict[str, Any] = {"run_ms": {"asr": 950.0}, "worked_ms": {"asr": [[-950.0, 0.0]]}}


def summary(of: Iterable[bytes]) -> Summary:
    found = Summary()
    for each in of:
        found.take(lines.read(each))
    return found


def some(count: int = 100, every: int = 1, **fields: Any) -> list[bytes]:
    """Utterances at ease, but each so manieth has these fields."""
    return [utterance(20.0 * n, **AT_EASE, **(fields if n % every == 0 else {})) for n in range(count)]


def slow_in(**worked: Any) -> list[bytes]:
    return [utterance(20.0 * n, latency_ms=2000.0, ready_ms=2000.0, worked_ms=worked) for n in range(30)]


SEEN = {
    "gpu_memory": [*some(), line("out_of_gpu_memory", stage="diarization")],
    "placement": [*some(), line("llm_placement")],
    "queues": some(every=5, queued_ms={"asr": 3000.0}),
    "busy": [
        utterance(float(n), **AT_EASE, run_ms={"asr": 950.0}, worked_ms={"asr": [[-950.0, 0.0]]}) for n in range(100)
    ],
    "slow": some(run_ms={"asr": 2500.0}),
    "slowest": slow_in(asr=[(0, 1800)]),
    "overloaded": some(every=10, warnings=["OVERLOADED"]),
    "llm_late": some(every=10, warnings=["LLM_TIMEOUT"]),
    "llm_missing": some(every=10, warnings=["LLM_UNAVAILABLE"]),
    "speakers_late": some(every=10, warnings=["DIARIZATION_TIMEOUT"]),
    "corrections": some(corrections_refused=2, corrections_accepted=1),
    "prompt": [*some(), line("llm_prompt_shortened", terms=3)],
    "text_too_long": [*some(), line("llm_text_too_long", segments=3)],
    "suppressed": some(every=3, outcome="suppressed"),
    "cut": some(every=3, trigger="max_duration"),
    "without_text": some(without_text_s=0.5),
    "died": [*some(), *[line("stage_died", stage="asr", exit_code=-9)] * 3],
    "hung": [*some(), line("stage_hung", stage="asr", reason="silent")],
    "starved": [*some(), line("stage_slow", stage="asr")],
    "in_time": [utterance(20.0 * n, latency_ms=30.0, ready_ms=20.0) for n in range(30)],
}
"""By rule, a log that it is for."""


def test_a_log_at_ease_gives_no_advice() -> None:
    """Nor does one that rarely has something."""
    assert hints(summary(some())) == []
    assert hints(summary(some(every=50, warnings=["LLM_TIMEOUT"], outcome="suppressed", trigger="max_duration"))) == []
    assert hints(Summary()) == []


@pytest.mark.parametrize("rule", SEEN)
def test_each_rule_sees_what_it_is_for_and_nothing_else(rule: str) -> None:
    """And names a setting that exists, in a sentence in both languages with no blank left."""
    found = hints(summary(SEEN[rule]))
    assert [hint.rule for hint in found] == [rule]
    functools.reduce(getattr, found[0].key.split("."), Config())
    for language in ("en", "ja"):
        sentence = _sentence(found[0], words(language))
        assert len(sentence) > 40 and "{" not in sentence


def test_every_rule_was_seen() -> None:
    """Each sentence belongs to one, and each rule is in the table above."""
    assert {key.removeprefix("hint.") for key in _said() if key.startswith("hint.")} == set(SEEN)
    assert len(RULES) == len(SEEN)


def test_few_utterances_make_no_shares() -> None:
    """One suppressed of two is nothing to act on."""
    assert hints(summary(some(4, every=2, outcome="suppressed", trigger="max_duration", without_text_s=2.0))) == []
