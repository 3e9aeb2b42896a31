"""Evaluations as a table and as JSON. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from wernicke_daemon.evaluation import diarization
from wernicke_daemon.evaluation.evaluating import Evaluation
from wernicke_daemon.evaluation.measures import figures
from wernicke_daemon.evaluation.scoring import NORMALISATION

_ROWS: tuple[tuple[str, str, str], ...] = (
    ("character error rate", "cer", "%"),
    ("word error rate", "wer", "%"),
    ("  without corrections", "correction.cer_before", "%"),
    ("corrections accepted", "correction.accepted", ""),
    ("corrections refused", "correction.refused", ""),
    ("invented characters", "invented_chars", ""),
    ("  per minute of silence", "invented_chars_per_minute", ""),
    ("right speaker", "speakers_right", "%"),
    ("  as told at first", "speakers_right_at_first", "%"),
    ("label changes", "label_flips", ""),
    ("diarization error rate", "der", "%"),
    ("  confusion alone", "confusion", "%"),
    ("  with a collar", "diarization.lenient.der", "%"),
    ("first word's time", "word_times.first_word_s.median_amount", "s"),
    ("last word's time", "word_times.last_word_s.median_amount", "s"),
    ("speech end → final", "latency.speech_end_to_final_s.median", "s"),
    ("  19 of 20 within", "latency.speech_end_to_final_s.p95_amount", "s"),
    ("utterances", "utterances", ""),
    ("audio", "audio_s", "s"),
)
"""What is shown, where it is in the figures, and its unit."""


def table(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    """Heads first: a column for each evaluation, of all its recordings; of two, how the second differs. What was not
    measured by any is left out."""
    found = [figures(one.total) for one in evaluations]
    rows = [["", *(one.name for one in evaluations), *(["difference"] if len(found) == 2 else [])]]
    for name, path, unit in _ROWS:
        values = [_at(one, path) for one in found]
        if any(value is not None for value in values):
            rows.append([name, *(_shown(value, unit) for value in values), *_difference(values, unit)])
    return rows


def by_recording(evaluation: Evaluation) -> list[list[str]]:
    rows = [["recording", "CER", "right speaker", "DER", "invented"]]
    for one in evaluation.judged:
        found = figures(one.counts)
        shares = [_shown(found[name], "%") for name in ("cer", "speakers_right", "der")]
        rows.append([one.recording.name, *shares, _shown(found["invented_chars"], "")])
    return rows


def notes(evaluations: Sequence[Evaluation], *, realtime: bool) -> Iterator[str]:
    """What the figures are of, and what is missing."""
    yield f"Error rates: {NORMALISATION}. Silence: half a second and more from all speech."
    if diarization.is_installed():
        yield f"Diarization error rate: {diarization.STRICT}; with a collar: {diarization.LENIENT}."
    else:
        yield f"Not measured: {diarization.MISSING}."
    if not realtime:
        yield "Not measured: latency, and work while one speaks, take --realtime. Nothing was left out for being late."
    for one in evaluations:
        yield f"{one.name}: {', '.join(f'{purpose} {model}' for purpose, model in one.models.items()) or 'no model'}"
        if one.warnings:
            told = ", ".join(f"{code} in {count}" for code, count in one.warnings.items())
            yield f"{one.name}: warnings, of {one.total.utterances} utterances: {told}."
    if any(one.total.corrected and one.total.char_errors >= one.total.char_errors_before for one in evaluations):
        yield "Correction does not lower the error rate on these recordings."


def as_json(evaluations: Sequence[Evaluation], *, realtime: bool) -> dict[str, Any]:
    """Figures of the first at the top; of a second below `against`."""
    first, *others = map(_content, evaluations)
    facts = {"normalisation": NORMALISATION, "realtime": realtime, "notes": [*notes(evaluations, realtime=realtime)]}
    return first | facts | ({"against": others[0]} if others else {})


def _content(evaluation: Evaluation) -> dict[str, Any]:
    recordings = {one.recording.name: figures(one.counts) for one in evaluation.judged}
    return {
        "settings": evaluation.name,
        "models": evaluation.models,
        "warnings": evaluation.warnings,
        **figures(evaluation.total),
        "recordings": recordings,
    }


def _at(found: Any, path: str) -> float | None:
    for name in path.split("."):
        found = None if found is None else found[name]
    return None if found is None else float(found)


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return {"%": f"{value:.1%}", "s": f"{value:.2f} s", "": f"{value:g}"}[unit]


def _difference(values: Sequence[float | None], unit: str) -> list[str]:
    if len(values) != 2:
        return []
    before, after = values
    if before is None or after is None:
        return ["-"]
    return [
        {"%": f"{100 * (after - before):+.1f} points", "s": f"{after - before:+.2f} s", "": f"{after - before:+g}"}[
            unit
        ]
    ]
