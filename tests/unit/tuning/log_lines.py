"""Lines of a log as the daemon writes them."""

import json
from datetime import UTC, datetime
from typing import Any

BEGAN = 1_700_000_000.0
"""Seconds since 1970."""


def line(event: str, at: float = 0.0, **fields: Any) -> bytes:
    """at: seconds after BEGAN."""
    timestamp = datetime.fromtimestamp(BEGAN + at, UTC).isoformat()
    return json.dumps({**fields, "event": event, "timestamp": timestamp}).encode() + b"\n"


def utterance(at: float = 0.0, **fields: Any) -> bytes:
    """Recognised and diarized side by side, then corrected; 1.2 s after its end, 0.1 s behind an earlier one."""
    whole = {
        "session": "s",
        "sequence": 1,
        "trigger": "silence",
        "audio_s": 4.0,
        "queued_ms": {"asr": 10.0, "diarization": 10.0, "correction": 100.0},
        "run_ms": {"asr": 500.0, "diarization": 700.0, "correction": 400.0},
        "worked_ms": {"asr": [[-100.0, 400.0]], "diarization": [[-100.0, 600.0]], "correction": [[700.0, 1100.0]]},
        "latency_ms": 1200.0,
        "ready_ms": 1100.0,
        "final_s": 5.2,
        "first_text_s": 1.0,
        "outcome": "final",
    }
    return line("utterance", at, **{**whole, **fields})
