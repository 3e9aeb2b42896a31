"""What a line of the log says, as far as tuning needs it. Pure.

Lines of older and newer daemons are read, too: what one lacks has a default, what it has more is passed over.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Time = Annotated[datetime, msgspec.Meta(tz=True)]
YEARS = range(2000, 9000)
"""Of lines that count: a clock that was never set is further back."""
Number = Annotated[float, msgspec.Meta(ge=-1e8, le=1e8)]
"""More than a day in milliseconds is no time that a result takes."""
Positive = Annotated[float, msgspec.Meta(ge=0, le=1e8)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

TROUBLE = frozenset(
    {
        "stage_died",
        "stage_hung",
        "stage_replaced",
        "stage_unusable",
        "stage_slow",
        "poison_job",
        "deadline_passed",
        "job_failed",
        "shedding",
        "out_of_gpu_memory",
        "llm_placement",
        "llm_loading",
        "llm_request_failed",
        "llm_prompt_shortened",
        "llm_text_too_long",
        "audio_lost",
        "store_failed",
        "journal_failed",
        "search_index_failed",
        "web_died",
        "wrong_rate",
        "no_speech",
    }
)
"""Events that say that something is not as it should be."""
STARTS = frozenset({"ready", "stopped", "stage_ready"})

Fault = Literal["malformed", "foreign", "other_version"]
"""Why a line is passed over: it is no JSON object, none of the daemon's, or has fields that are not what they were."""


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """An `utterance` line; docs/logging.md explains each field."""

    timestamp: Time
    latency_ms: Positive
    ready_ms: Positive | None = None
    session: str = ""
    sequence: Count = 0
    trigger: str = ""
    outcome: str = "final"
    audio_s: Positive = 0.0
    final_s: Positive | None = None
    first_text_s: Positive | None = None
    queued_ms: dict[str, Positive] = {}
    run_ms: dict[str, Positive] = {}
    worked_ms: dict[str, list[tuple[Number, Number]]] = {}
    live_ms: Positive = 0.0
    without_text_s: Positive = 0.0
    left_out: dict[str, Count] = {}
    corrections_accepted: Count = 0
    corrections_refused: Count = 0
    refused_for: dict[str, Count] = {}
    warnings: list[str] = []

    @property
    def left(self) -> float:
        """When its result left, in seconds since 1970."""
        return self.timestamp.timestamp()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Any other line that counts here. event: one of TROUBLE or STARTS."""

    timestamp: Time
    event: str
    stage: str = ""
    exit_code: int | None = None
    reason: str = ""
    code: str = ""
    load_ms: float | None = None
    spare: bool = False

    @property
    def at(self) -> float:
        """Seconds since 1970."""
        return self.timestamp.timestamp()


class _Head(msgspec.Struct):
    timestamp: Time
    event: str


_head = msgspec.json.Decoder(_Head)
_utterance = msgspec.json.Decoder(Utterance)
_event = msgspec.json.Decoder(Event)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read(line: bytes, since: float = 0.0) -> Utterance | Event | Fault | None:
    """None for what does not count here, or was written before `since` (seconds since 1970)."""
    try:
        head = _head.decode(line)
    except ValueError:  # bytes that are no text are no DecodeError
        return "foreign" if _is_object(line) else "malformed"
    if head.timestamp.year not in YEARS:
        return "foreign"
    if head.timestamp.timestamp() < since:
        return None
    try:
        if head.event == "utterance":
            return _utterance.decode(line)
        return _event.decode(line) if head.event in TROUBLE or head.event in STARTS else None
    except ValueError:
        return "other_version"


def time_of(line: bytes) -> float | None:
    """When it was written, in seconds since 1970; None where it does not say."""
    try:
        return _head.decode(line).timestamp.timestamp()
    except ValueError:
        return None


def _is_object(line: bytes) -> bool:
    try:
        _object.decode(line)
    except ValueError:
        return False
    return True
