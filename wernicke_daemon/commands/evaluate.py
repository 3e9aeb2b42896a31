"""`wernicke eval`: how good the settings are, by recordings of one's own."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ipc import event_loop, files
from wernicke_daemon.client import Exit
from wernicke_daemon.commands import options
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.outputs import BadOutput, note
from wernicke_daemon.config.load import load, overrides
from wernicke_daemon.config.schema import Config

if TYPE_CHECKING:
    from wernicke_daemon.evaluation.evaluating import Evaluation
    from wernicke_daemon.evaluation.page import Shown

WORST = 20
"""Utterances on the page."""


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("eval", help="measure how good the settings are, by recordings with references")
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="recordings, each with a .txt, .json, .rttm, .stm or .srt of its name"
    )
    options.add_config(parser)
    options.add_profile(parser)
    options.add_language(parser)
    parser.add_argument("--against", type=Path, metavar="PATH", help="other settings to compare with")
    parser.add_argument("--realtime", action="store_true", help="play as fast as it was said: measures latency too")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page with the worst utterances, playable")
    parser.set_defaults(command=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    """Raises BadReference, BadOutput, ConfigError, and what keeps a daemon from starting."""
    from wernicke_daemon.evaluation import report

    if args.html and not args.html.absolute().parent.is_dir():
        raise BadOutput(f"The directory {args.html.absolute().parent} does not exist; make it first.")
    evaluations = event_loop.run(_evaluated(args))
    if args.html:
        _write_page(args, evaluations)
    if args.json:
        print(json.dumps(report.as_json(evaluations, realtime=args.realtime), indent=2, ensure_ascii=False))
    else:
        _show(evaluations, realtime=args.realtime)
    return Exit.OK


async def _evaluated(args: argparse.Namespace) -> list["Evaluation"]:
    from wernicke_daemon.evaluation.evaluating import evaluated
    from wernicke_daemon.evaluation.pairing import paired

    pairs, without = paired(args.folder)
    for recording in without:
        note(f"{recording} is left out: there is no reference of its name.")
    wanted = _settings(args)  # before minutes of work
    found = []
    for name, config in wanted:
        note(f"{name}:")
        found.append(await evaluated(name, config(), pairs, realtime=args.realtime, language=args.language, told=note))
    return found


def _settings(args: argparse.Namespace) -> list[tuple[str, Callable[[], Config]]]:
    """By name, the user's first. Their models are looked for when it is their turn. Raises ConfigError."""
    first = options.profile_settings(args)
    wanted = [("settings" if args.config is None else str(args.config), first)]
    if args.against:
        wanted.append((str(args.against), overrides(load(args.against), profile=args.profile)))
    return [(name, lambda config=config: _resolved(config)) for name, config in wanted]  # type: ignore[misc]


def _resolved(config: Config) -> Config:
    from wernicke_daemon.hardware.machine import resolved
    from wernicke_daemon.models import presence

    chosen, _ = resolved(config)
    presence.put_together(chosen)
    presence.refuse_without(chosen)
    return chosen


def _show(evaluations: Sequence["Evaluation"], *, realtime: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from wernicke_daemon.evaluation import report

    console = Console(markup=False, highlight=False)
    tables = [report.table(evaluations)]
    tables += [report.by_recording(one) for one in evaluations if len(one.judged) > 1]
    for rows in tables:
        table = Table(*rows[0], box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
    for line in report.notes(evaluations, realtime=realtime):
        console.print(line)


def _write_page(args: argparse.Namespace, evaluations: Sequence["Evaluation"]) -> None:
    from wernicke_daemon.evaluation import report
    from wernicke_daemon.evaluation.page import page

    shown = event_loop.run(_worst(*evaluations))
    notes = report.notes(evaluations, realtime=args.realtime)
    gap = "" if all(one.unit == "character" for one in evaluations[0].judged) else " "
    text = page(f"Evaluation: {args.folder.name}", report.table(evaluations), notes, shown, gap)
    try:
        files.replace(args.html, text.encode())
    except OSError as error:
        raise BadOutput(f"{args.html} can't be written: {error.strerror}.") from None
    note(f"{args.html}: the worst utterances, to read and to play.")


async def _worst(evaluation: "Evaluation", *others: "Evaluation") -> list["Shown"]:
    """Of all recordings together, beside what the others made of them."""
    from wernicke_daemon.evaluation.clips import clips
    from wernicke_daemon.evaluation.page import Shown
    from wernicke_daemon.evaluation.worst import text_within, worst

    found = [
        (number, utterance)
        for number, one in enumerate(evaluation.judged)
        for utterance in worst(one.reference.turns or (), one.heard.finals, one.unit, WORST)
    ]
    found = sorted(found, key=lambda each: -each[1].errors)[:WORST]
    recordings = [one.recording for one in evaluation.judged]
    sounds = await clips([(recordings[number], utterance.start, utterance.end) for number, utterance in found])
    shown = []
    for (number, utterance), sound in zip(found, sounds, strict=True):
        finals = (other.judged[number].heard.finals for other in others)
        otherwise = tuple(text_within(each, utterance.start, utterance.end) for each in finals)
        shown.append(Shown(recordings[number].name, utterance, sound, otherwise))
    return shown
