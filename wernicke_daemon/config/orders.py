"""Settings that have to fit each other: mostly limits, of which one waits for what another one bounds. Pure.

docs/configuration.md has the same table, with who waits for whom; a test holds the two together.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from wernicke_daemon.config.schema import Config
from wernicke_daemon.config.typed_toml import ConfigError

LATEST = 1.2
"""Of a wait between restarts, with its jitter (`processes/restart_policy.py`)."""

SERVER_WAIT_S = 30.0
"""For an Ollama server that is not up yet when the daemon starts (`stages/correction/ollama.py`)."""

ANSWER_S = 10.0
"""For what the correction stage does besides one request."""


class Order(NamedTuple):
    """setting: its name. bound: what it must be `relation`, and `words` for that."""

    setting: str
    relation: Literal["at least", "at most", "more than", "less than"]
    words: str
    bound: Callable[[Config], float]

    def holds(self, value: float, bound: float) -> bool:
        match self.relation:
            case "at least":
                return value >= bound
            case "at most":
                return value <= bound
            case "more than":
                return value > bound
        return value < bound


def _longest_s(config: Config) -> float:
    vad = config.vad
    return vad.max_utterance_s + vad.pre_roll_s + vad.post_roll_s + vad.cut_search_s


ORDERS = (
    Order("vad.cut_search_s", "at most", "vad.max_utterance_s", lambda c: c.vad.max_utterance_s),
    Order("vad.post_roll_s", "at most", "vad.silence_s", lambda c: c.vad.silence_s),
    Order("vad.phrase_pause_s", "less than", "vad.silence_s", lambda c: c.vad.silence_s),
    Order("vad.min_silence_s", "at most", "vad.silence_s", lambda c: c.vad.silence_s),
    Order(
        "audio.ring_seconds",
        "at least",
        "twice the longest utterance with its rolls and vad.cut_search_s",
        lambda c: 2 * _longest_s(c),
    ),
    Order("diarization.min_speakers", "at most", "diarization.max_speakers", lambda c: c.diarization.max_speakers),
    Order("runtime.heartbeat_timeout_s", "more than", "runtime.heartbeat_s", lambda c: c.runtime.heartbeat_s),
    Order("runtime.backoff_max_s", "at least", "runtime.backoff_first_s", lambda c: c.runtime.backoff_first_s),
    Order(
        "runtime.asr_down_limit_s",
        "more than",
        f"{LATEST:g} × runtime.backoff_max_s",
        lambda c: LATEST * c.runtime.backoff_max_s,
    ),
    Order(
        "runtime.job_timeout_s",
        "at least",
        f"llm.timeout_s + {ANSWER_S:g}",
        lambda c: c.llm.timeout_s + ANSWER_S,
    ),
    Order(
        "runtime.load_timeout_s",
        "at least",
        f"llm.load_timeout_s + llm.timeout_s + {SERVER_WAIT_S:g}",
        lambda c: c.llm.load_timeout_s + c.llm.timeout_s + SERVER_WAIT_S,
    ),
)


def check(config: Config) -> None:
    """Raises ConfigError where each value is allowed, but not beside another one."""
    for order in ORDERS:
        section, _, name = order.setting.partition(".")
        value, bound = getattr(getattr(config, section), name), order.bound(config)
        if not order.holds(value, bound):
            raise ConfigError(f"{order.setting}: expected {order.relation} {_shown(order.words, bound)}, got {value:g}")


def _shown(words: str, bound: float) -> str:
    """A name with its value; a sentence as the reason for one."""
    return f"{bound:g} ({words})" if words.startswith("twice") else f"{words} ({bound:g})"
