"""`wernicke status`: what the running daemon says of itself on /health and /stats, for people or as JSON."""

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from wernicke_daemon.client.connecting import Exit
from wernicke_daemon.commands import asking, options
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.observability.pages import Health, Percentiles, SessionFigures, StageFigures, Stats

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

_SHED = ("nothing", "partials", "partials and correction", "partials, correction and speakers")
"""What is left out, by the level of overload (see `dispatch/overload.py`)."""


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("status", help="show what the daemon is doing")
    options.add_server(parser)
    parser.add_argument("--json", action="store_true", help="for programs: the pages /health and /stats as they are")
    parser.set_defaults(command=_status)


def _status(args: argparse.Namespace) -> int:
    """Raises ClientError where there is no daemon or it does not tell, and TlsError."""
    from rich.console import Console

    stats = fetch(args, "stats")  # the first: it is the one that wants a token
    health = fetch(args, "health")
    if args.json:
        print(json.dumps({"health": health, "stats": stats}, indent=2, ensure_ascii=False))
    else:
        Console(markup=False, highlight=False).print(_shown(args.url, health, stats))
    return Exit.OK


def fetch(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """The page of that name, whatever its HTTP status says of the daemon. Raises ClientError, TlsError."""
    return asking.decoded(args.url, asking.get(args, asking.page_address(args.url, name)), dict[str, Any])


# --- for people ------------------------------------------------------------------------------------


def _shown(url: str, health_page: dict[str, Any], stats_page: dict[str, Any]) -> "Group":
    from rich.console import Group

    try:
        health, stats = msgspec.convert(health_page, Health), msgspec.convert(stats_page, Stats)
    except msgspec.ValidationError:
        raise asking.foreign(url) from None
    parts: list[RenderableType] = [
        f"{url}: {health.status}, {health.active_connections} connected",
        _processes(health, stats),
        _work(stats),
    ]
    return Group(*parts, *_sentences(health, stats), _sessions(stats.sessions) if stats.sessions else "No sessions.")


def _processes(health: Health, stats: Stats) -> "Table":
    table = _table("stage", "state", "pid", "epoch", "restarts", "spare", "engine")
    for name, stage in stats.stages.items():
        engine = health.stages[name].engine if name in health.stages else None
        numbers = (_number(stage.pid), str(stage.epoch), str(stage.restarts), _number(stage.spare_pid))
        table.add_row(name, _state(stage), *numbers, engine or "-")
        if len(stage.replicas) > 1 or any(one.node for one in stage.replicas):
            for number, one in enumerate(stage.replicas):
                numbers = (_number(one.pid), str(one.epoch), str(one.restarts), _number(one.spare_pid))
                table.add_row(f"  {number} {one.device}{one.node}", one.state, *numbers, "")
    return table


def _state(stage: StageFigures) -> str:
    several = len(stage.replicas) > 1
    ready = sum(one.state == "ready" for one in stage.replicas)
    return f"{stage.state} {ready}/{len(stage.replicas)}" if several else stage.state


def _work(stats: Stats) -> "Table":
    table = _table("stage", "jobs in queue", "queued ms p50 / p95", "at work ms p50 / p95")
    for name, stage in stats.stages.items():
        table.add_row(name, str(stage.queue), _both(stage.queued_ms), _both(stage.run_ms))
    return table


def _table(*columns: str) -> "Table":
    """Narrow enough for a terminal of 80 columns."""
    from rich import box
    from rich.table import Table

    return Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _both(of: Percentiles) -> str:
    return "-" if of.p50 is None or of.p95 is None else f"{of.p50:.0f} / {of.p95:.0f}"


def _sentences(health: Health, stats: Stats) -> Iterator[str]:
    """What is not as it should be, and was not."""
    yield from (f"problem: {problem}" for problem in health.problems)
    if health.overload:
        yield f"overload: {_SHED[min(health.overload, 3)]} are left out until results have caught up"
    for kind, ahead in stats.ahead.items():
        if ahead.jobs:
            yield f"{kind} work: {ahead.jobs} jobs, {ahead.work_s:.0f} s, of which {ahead.used_s:.0f} s were used"
    yield from (f"last death of {name}: {stage.why_down}" for name, stage in stats.stages.items() if stage.why_down)


def _sessions(sessions: list[SessionFigures]) -> "Table":
    table = _table("session", "client", "received s", "results", "under way", "audio")
    for one in sessions:
        client, audio = "attached" if one.attached else "gone", "waits" if one.paused else "is taken"
        table.add_row(one.session, client, f"{one.received_s:.1f}", str(one.results), str(one.under_way), audio)
    return table
