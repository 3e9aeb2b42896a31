"""`wernicke doctor`: a table of what must be right before the first run, with what to do where it is not."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wernicke_daemon.commands import options
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.config.schema import Config

if TYPE_CHECKING:
    from wernicke_daemon.doctor.checks import Check


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("doctor", help="look whether all is right for the first run, and say what to do")
    options.add_config(parser)
    options.add_profile(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=lambda args: _doctor(options.profile_settings(args), args.json))


def _doctor(config: Config, as_json: bool) -> int:
    """config: its profile is named, not applied."""
    from wernicke_daemon.doctor.examination import examine

    checks = list(examine(config))
    ok = all(check.ok for check in checks)
    if as_json:
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
