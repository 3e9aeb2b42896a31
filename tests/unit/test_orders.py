"""Limits that contradict each other are refused at the start, and documented where the settings are."""

import re
from pathlib import Path

import pytest

from stages.correction import ollama
from wernicke_daemon.config import orders
from wernicke_daemon.config.load import parse
from wernicke_daemon.config.orders import LATEST, ORDERS
from wernicke_daemon.config.schema import Config
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.processes.restart_policy import RestartPolicy

CONFIGURATION = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")

CONTRADICTIONS = {
    "vad.cut_search_s": ("[vad]\ncut_search_s = 8\nmax_utterance_s = 5", "at most vad.max_utterance_s (5), got 8"),
    "vad.post_roll_s": ("[vad]\npost_roll_s = 1\nsilence_s = 0.5", "at most vad.silence_s (0.5), got 1"),
    "vad.phrase_pause_s": ("[vad]\nphrase_pause_s = 2", "less than vad.silence_s (2), got 2"),
    "vad.min_silence_s": ("[vad]\nmin_silence_s = 2.5", "at most vad.silence_s (2), got 2.5"),
    "audio.ring_seconds": (
        "[audio]\nring_seconds = 71.1",
        "at least 71.2 (twice the longest utterance with its rolls and vad.cut_search_s), got 71.1",
    ),
    "diarization.min_speakers": (
        "[diarization]\nmin_speakers = 3\nmax_speakers = 2",
        "at most diarization.max_speakers (2), got 3",
    ),
    "runtime.heartbeat_timeout_s": (
        "[runtime]\nheartbeat_timeout_s = 1",
        "more than runtime.heartbeat_s (1), got 1",
    ),
    "runtime.backoff_max_s": ("[runtime]\nbackoff_max_s = 0.1", "at least runtime.backoff_first_s (0.5), got 0.1"),
    "runtime.asr_down_limit_s": (
        "[runtime]\nasr_down_limit_s = 36",
        "more than 1.2 × runtime.backoff_max_s (36), got 36",
    ),
    "runtime.job_timeout_s": ("[llm]\ntimeout_s = 66", "at least llm.timeout_s + 10 (76), got 75"),
    "runtime.load_timeout_s": (
        "[llm]\nload_timeout_s = 811",
        "at least llm.load_timeout_s + llm.timeout_s + 30 (901), got 900",
    ),
}


def test_every_order_has_a_contradiction() -> None:
    assert set(CONTRADICTIONS) == {order.setting for order in ORDERS}


@pytest.mark.parametrize("setting", CONTRADICTIONS)
def test_a_contradiction_is_refused(setting: str) -> None:
    """With both names, and what follows from the one for the other."""
    text, expected = CONTRADICTIONS[setting]
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value) == f"config.toml: {setting}: expected {expected}"


@pytest.mark.parametrize(
    "text",
    [
        "[vad]\nphrase_pause_s = 1.9",
        "[vad]\nmin_silence_s = 2",
        "[runtime]\nasr_down_limit_s = 36.1",
        "[llm]\ntimeout_s = 65",
        "[llm]\nload_timeout_s = 810",
        "[llm]\ntimeout_s = 600\n[runtime]\njob_timeout_s = 610\nload_timeout_s = 1230",
    ],
)
def test_what_just_fits_is_taken(text: str) -> None:
    parse(text)


def test_the_defaults_fit() -> None:
    orders.check(Config())


def test_the_table_is_that_of_the_code() -> None:
    """Which setting, how it must be, to what."""
    section = CONFIGURATION.split("### Limits and their order", 1)[1].split("\n## ", 1)[0]
    found = re.findall(r"^\| `([\w.]+)` \| (at least|at most|more than|less than) ([^|]+) \|", section, re.MULTILINE)
    documented = [(setting, relation, words.replace("`", "").strip()) for setting, relation, words in found]
    assert documented == [(order.setting, order.relation, order.words) for order in ORDERS]


def test_constants_are_those_of_others() -> None:
    """The wait for Ollama, and the longest wait for a restart with its jitter."""
    assert orders.SERVER_WAIT_S == ollama.WAIT_FOR_SERVER_S
    policy = RestartPolicy(most=1, window_s=60.0, first_s=1.0, last_s=1.0, stable_s=60.0)
    policy.died(0.0)
    assert max(policy.died(1.0) for _ in range(1000)) <= LATEST
