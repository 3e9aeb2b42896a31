"""`wernicke doctor`: a table of what must be right before the first run, with what to do where it is not."""

import argparse
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wernicke_daemon.client import ClientError
from wernicke_daemon.commands import options, outputs
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.config.schema import Config
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.wire.tls import TlsError

if TYPE_CHECKING:
    from wernicke_daemon.doctor.checks import Check


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("doctor", help="look whether all is right for the first run, and say what to do")
    options.add_config(parser)
    options.add_profile(parser)
    parser.add_argument("--ray", action="store_true", help="look at the nodes of the Ray cluster of [ray], too")
    parser.add_argument("--json", action="store_true", help="for programs")
    sentence = "write all that helps to find a fault into this file, without names, tokens and folders of yours"
    parser.add_argument("--report", type=Path, metavar="FILE", help=sentence)
    parser.set_defaults(command=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    """Raises BadOutput, ConfigError."""
    from wernicke_daemon.doctor.examination import examine

    config = options.profile_settings(args)  # its profile is named, not applied
    if args.report:
        outputs.check_place(args.report)
    checks = list(examine(config, args.ray))
    ok = all(check.ok for check in checks)
    if args.report:
        outputs.write_text(args.report, _report(config, options.base(args), checks))
        outputs.note(f"The report is in {args.report}; read it before you hand it on.")
    if args.json:
        found = {"ok": ok, "checks": [check._asdict() for check in checks]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _show(checks)
    return 0 if ok else 1


def _show(checks: "Sequence[Check]") -> None:
    """Below the table comes what to do, in lines that are not wrapped, so that commands can be copied."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("check", "", "finding", box=box.SIMPLE_HEAD, pad_edge=False)
    for check in checks:
        table.add_row(check.name, "ok" if check.ok else "NO", check.finding)
    console = Console(markup=False, highlight=False)
    console.print(table)
    for fix in dict.fromkeys(check.fix for check in checks if check.fix):
        concerned = [check for check in checks if check.fix == fix]
        what = "advice" if all(check.ok for check in concerned) else "to do"
        console.print(f"{what}, {', '.join(check.name for check in concerned)}: {fix}", soft_wrap=True)
    wrong = sum(not check.ok for check in checks)
    console.print(f"{wrong} of {len(checks)} checks failed." if wrong else "All is right.")


# --- the report ------------------------------------------------------------------------------------


def _report(config: Config, base: Path, checks: "Sequence[Check]") -> str:
    """config: its profile is named, not applied. base: the folder of config.toml."""
    from wernicke_daemon.doctor import report, surroundings
    from wernicke_daemon.doctor.private import public_settings

    pages = {name: _page(config, name) for name in ("health", "stats")}
    found = report.Found(
        written=datetime.now(UTC).isoformat(timespec="minutes"),
        machine=list(surroundings.machine()),
        packages=list(surroundings.packages()),
        checks=checks,
        settings=public_settings(_in_force(config, running=not isinstance(pages["health"], str))),
        pages=pages,
        priorities=_priorities(pages["stats"]),
        log=_log(config),
    )
    return report.text(found, surroundings.private(config, base))


def _in_force(config: Config, running: bool) -> Config:
    """As `--check-config` has it. Where the daemon runs, which has the card, as if nothing was on that; with no
    room for the profile, as it was read."""
    from wernicke_daemon.hardware.machine import planned, resolved

    try:
        return planned(config) if running else resolved(config)[0]
    except ConfigError:
        return config


def _page(config: Config, name: str) -> dict[str, Any] | str:
    """Of the daemon that these settings are of, or why there is none."""
    from wernicke_daemon.commands.status import fetch
    from wernicke_daemon.gateway.http_request import SESSIONS
    from wernicke_daemon.wire.listening import reachable, url_host

    tls = config.tls_files
    url = f"{'wss' if tls else 'ws'}://{url_host(reachable(config.host))}:{config.port}{SESSIONS}"
    cafile = tls[0] if tls else None
    try:
        return fetch(argparse.Namespace(url=url, token=os.environ.get("WERNICKE_TOKEN"), cafile=cafile), name)
    except (ClientError, TlsError) as error:
        return str(error)


def _priorities(stats: dict[str, Any] | str) -> dict[str, str]:
    """Of the stages' processes by stage, as the daemon gives them its own."""
    from wernicke_daemon.doctor.surroundings import priority

    stages = {} if isinstance(stats, str) else stats.get("stages", {})
    return {name: priority(stage["pid"]) for name, stage in stages.items() if stage.get("pid")}


def _log(config: Config) -> Any:
    """Of `log_summary.summary`, or why there is none."""
    from wernicke_daemon.doctor.log_summary import summary
    from wernicke_daemon.doctor.surroundings import log_tail

    try:
        return summary(log_tail(config.log_path))
    except OSError as error:
        return f"there is none to be read: {error.strerror}"
