"""What disturbed sessions brought, beside undisturbed ones: for `chaos.py`."""

import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.chaos_speech import Heard, Spoken, Stuck
from wernicke_daemon.client import ParsedMessage


@dataclass
class Found:
    """utterances: compared; lost, duplicated, changed: of them."""

    utterances: int = 0
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    dropped_connections: int = 0
    gaps: int = 0

    def compare(self, heard: Heard, undisturbed: Heard, but: set[Spoken]) -> None:
        """but: utterances that are counted apart."""
        self.dropped_connections += heard.dropped
        self.gaps += heard.gaps
        for sequence in undisturbed.results.keys() | heard.results.keys():
            if (heard.session, sequence) not in but:
                self._compare(heard.results.get(sequence, []), undisturbed.results.get(sequence, []))

    def _compare(self, got: list[ParsedMessage], wanted: list[ParsedMessage]) -> None:
        self.utterances += 1
        self.lost += len(got) < len(wanted)
        self.duplicated += len(got) > len(wanted)
        if got and wanted and (differences := _differences(substance(got[0]), substance(wanted[0]))):
            self.changed += 1
            tell(f"changed: {differences}")


SUBSTANCE = (
    *("type", "sequence", "code", "text", "segments", "timestamp_range", "duration", "language"),
    *("trigger", "revision", "models_used", "warnings"),
)


def substance(result: ParsedMessage) -> ParsedMessage:
    """What must not depend on when and how often stages ran: all but times of day, delays and names of the session."""
    return {name: result.get(name) for name in SUBSTANCE}


def _differences(got: ParsedMessage, wanted: ParsedMessage) -> dict[str, tuple[Any, Any]]:
    """By name: what came and what was wanted."""
    return {name: (got[name], wanted[name]) for name in SUBSTANCE if got[name] != wanted[name]}


def check(undisturbed: list[Heard]) -> None:
    """Raises Stuck where the first round is nothing to compare with."""
    for heard in undisturbed:
        results = [result for results in heard.results.values() for result in results]
        finals = [result for result in results if result["type"] == "final"]
        if heard.dropped or not finals or any(r["type"] == "error" or r.get("warnings") for r in results):
            raise Stuck("Not even the undisturbed round was fully served.")


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
