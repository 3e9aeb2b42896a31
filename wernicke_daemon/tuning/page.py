"""The report as HTML: what is found in a log, put into words and pictures. Pure but for its own templates and words."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jinja2
from markupsafe import Markup

from ipc.messages import STAGES
from wernicke_daemon.config.schema import Config
from wernicke_daemon.tuning import overlap, pictures, svg, waits
from wernicke_daemon.tuning.hints import FEWEST, Hint, hints
from wernicke_daemon.tuning.histogram import Histogram
from wernicke_daemon.tuning.log_files import Found
from wernicke_daemon.tuning.summary import Summary

HERE = Path(__file__).parent

STYLE = HERE / "report.css"
"""What `fragment` looks like; `document` brings it along."""

Language = Literal["en", "ja"]

ENDINGS_SHOWN = 20
NOT_TROUBLE = frozenset({"ready", "stopped", "stage_ready", "stage_died", "stage_hung", "stage_replaced"})
"""Events that are told elsewhere on the page, or are as it should be."""


class Bar(NamedTuple):
    """share: percent of the longest. class_: "ok" or "no", its colour."""

    label: str
    times: int
    share: float
    class_: str


def document(found: Found, language: Language, config: Config | None = None) -> str:
    """A page of its own that needs nothing from elsewhere. config: the settings in force, where they are known."""
    style, report = Markup(STYLE.read_text(encoding="utf-8")), Markup(fragment(found, language, config))
    template = _environment().get_template("document.html")
    return template.render(t=words(language), language=language, style=style, report=report)


def fragment(found: Found, language: Language, config: Config | None = None) -> str:
    """What is within that page, to be shown within another one that has STYLE."""
    say, summary = words(language), found.summary
    values: dict[str, Any] = {"t": say, "utterances": summary.utterances, "files": found.files}
    values |= {"problems": found.problems, "read": summary.read, "faults": sorted(summary.faults.items())}
    if summary.utterances:
        values |= {**_head(summary, say), **_hints(summary, say, config), **_pictures(summary, say)}
        values |= {**_tables(summary, say), **_restarts(summary, say)}
    return _environment().get_template("report.html").render(values)


@functools.cache
def _said() -> dict[str, dict[str, str]]:
    said: dict[str, dict[str, str]] = json.loads((HERE / "words.json").read_text(encoding="utf-8"))
    return said


def words(language: Language) -> Callable[..., str]:
    """From a key of `words.json`, and what is to be put in, to words. Of a key that is none, such as a newer daemon's
    reason, what is behind its first part."""

    def say(key: str, **filled: object) -> str:
        return _said()[key][language].format(**filled) if key in _said() else key.partition(".")[2]

    return say


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(HERE / "templates")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _head(summary: Summary, say: overlap.Words) -> dict[str, Any]:
    waited, died = summary.latency_ms, summary.events["stage_died"]
    cards = [
        (say("card.utterances"), f"{summary.utterances:,}", False),
        *((say(f"card.p{share * 100:.0f}"), _ms(waited.quantile(share)), False) for share in pictures.QUANTILES),
        (say("card.first_text"), _ms(summary.first_text_ms.quantile(0.5)), False),
        (say("card.ended"), f"{died:,}", died > 0),
    ]
    return {"cards": cards, "first": _moment(summary.first), "last": _moment(summary.last)}


def _ms(value: float | None) -> str:
    return "–" if value is None else svg.seconds(value)


def _moment(at: float | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def _hints(summary: Summary, say: overlap.Words, config: Config | None) -> dict[str, Any]:
    shown = [
        {"key": hint.key, "now": _now(hint.key, config), "sentence": _sentence(hint, say)} for hint in hints(summary)
    ]
    return {"hints": shown, "few": FEWEST if summary.utterances < FEWEST else 0}


def _sentence(hint: Hint, say: overlap.Words) -> str:
    filled = {name: f"{value:.1f}" if isinstance(value, float) else value for name, value in hint.numbers.items()}
    if "stage" in filled:
        filled["stage"] = say(f"stage.{filled['stage']}")
    if "cause" in filled:
        filled["cause"] = say(f"cause.{filled['cause']}")
    sentence = say(f"hint.{hint.rule}", **filled)
    return sentence[:1].upper() + sentence[1:]


def _now(key: str, config: Config | None) -> str:
    """The setting as it is in config.toml."""
    if config is None:
        return ""
    value = functools.reduce(getattr, key.split("."), config)
    return json.dumps(value, ensure_ascii=False)


def _pictures(summary: Summary, say: overlap.Words) -> dict[str, Any]:
    latest = overlap.last_talk(summary.latest)
    at_once = overlap.at_once(latest)
    rows = [(say("made_of.all"), summary.waits.mean()), (say("made_of.slowest"), summary.waits.mean(slowest=0.1))]
    return {
        "overlap": Markup(overlap.picture(latest, say)) if latest else None,
        "overlap_legend": [("said", say("said")), *((f"stage-{each}", say(f"stage.{each}")) for each in overlap.SHOWN)],
        "at_once": None if at_once is None else round(100 * at_once),
        "delays": Markup(pictures.delays(summary.timeline, say)),
        "spread": Markup(pictures.spread(summary.latency_ms, say)),
        "made_of": Markup(pictures.made_of(rows, say)) if len(summary.waits) else None,
        "made_of_count": len(summary.waits),
        "causes": [(f"cause-{cause}", say(f"cause.{cause}")) for cause in waits.CAUSES],
        "busy": Markup(pictures.busy(summary.timeline, say)),
        "stage_legend": [(f"line-{each}", say(f"stage.{each}")) for each in STAGES if len(summary.run_ms[each])],
    }


def _tables(summary: Summary, say: overlap.Words) -> dict[str, Any]:
    outcomes = [(say(f"outcome.{name}"), count, name == "final") for name, count in summary.outcomes.most_common()]
    outcomes += [(say(f"left_out.{name}"), count, False) for name, count in summary.left_out.most_common()]
    corrected = [(say("corrections.accepted"), summary.accepted, True)]
    corrected += [(say("corrections.refused"), summary.refused, False)]
    corrected += [(say(f"refused.{name}"), count, False) for name, count in summary.refused_for.most_common()]
    trouble = [(name, count, False) for name, count in summary.events.most_common() if name not in NOT_TROUBLE]
    return {
        "stages": list(_stages(summary)),
        "corrections": _bars(corrected) if summary.accepted or summary.refused else [],
        "outcomes": _bars(outcomes),
        "without_text": svg.seconds(1000 * summary.without_text_s) if summary.without_text_s else "",
        "audio": svg.seconds(1000 * summary.audio_s),
        "warnings": _bars((code, count, False) for code, count in summary.warnings.most_common()),
        "events": _bars(trouble),
    }


def _bars(rows: Iterable[tuple[str, int, bool]]) -> list[Bar]:
    """rows: label, how many, whether it is as it should be."""
    all_rows = list(rows)
    most = max((count for _, count, _ in all_rows), default=0) or 1
    return [Bar(label, count, round(100 * count / most, 1), "ok" if good else "no") for label, count, good in all_rows]


def _stages(summary: Summary) -> Iterator[tuple[str, int, str, str, str]]:
    for stage in STAGES:
        if run := len(summary.run_ms[stage]):
            ratio = summary.work_ratio(stage)
            queued, worked = _three(summary.queued_ms[stage]), _three(summary.run_ms[stage])
            yield stage, run, queued, worked, f"{ratio:.2f} s"


def _three(values: Histogram) -> str:
    return " / ".join(_ms(values.quantile(share)) for share in pictures.QUANTILES)


def _restarts(summary: Summary, say: overlap.Words) -> dict[str, Any]:
    shown = [
        (_moment(each.at), say(f"stage.{each.stage}"), say(f"ended.{each.event}"), each.why)
        for each in summary.endings[-ENDINGS_SHOWN:][::-1]
    ]
    all_endings = sum(summary.events[event] for event in ("stage_died", "stage_hung", "stage_replaced"))
    return {"starts": summary.starts, "endings": shown, "endings_all": all_endings}
