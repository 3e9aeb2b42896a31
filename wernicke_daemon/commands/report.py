"""`wernicke report`: what the log tells of speed and results, and which settings to change, as a page in a file."""

import argparse
import locale
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from wernicke_daemon.client import Exit
from wernicke_daemon.commands import options, outputs
from wernicke_daemon.commands.options import Subparsers

if TYPE_CHECKING:
    from wernicke_daemon.tuning.log_files import Found
    from wernicke_daemon.tuning.page import Language

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("report", help="a page on what to tune, from the daemon's log")
    sentence = "files of a log, .gz, .bz2 and .xz too; without any those of the daemon with these settings"
    parser.add_argument("logs", nargs="*", type=Path, metavar="LOG", help=sentence)
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", default=Path("report.html"), help="(%(default)s)")
    parser.add_argument("--since", type=_ago, metavar="AGO", help="no further back than so long: 90s, 30m, 2h, 7d")
    parser.add_argument("--language", choices=("en", "ja"), help="of the page (default: this machine's)")
    options.add_config(parser)
    parser.set_defaults(command=_report)


def _ago(text: str) -> float:
    """Seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a number and s, m, h or d, such as 2h, got {text!r}")
    return float(found[1]) * _SECONDS[found[2]]


def _report(args: argparse.Namespace) -> int:
    """Raises BadOutput, ConfigError, and NoLog where there is nothing to read."""
    from wernicke_daemon.tuning import log_files, page

    outputs.check_place(args.output)
    config = options.settings(args)
    files = args.logs or log_files.of_log(config.log_path)
    found = _read(files, 0.0 if args.since is None else time.time() - args.since)
    for problem in found.problems:
        outputs.warn(problem)
    known = None if args.logs and args.config is None else config  # of a log from elsewhere they are not
    outputs.write_text(args.output, page.document(found, args.language or _language(), known))
    outputs.note(f"{args.output}: {found.summary.utterances} utterances. Open it in a browser.")
    return Exit.OK if found.summary.utterances else Exit.EMPTY


def _read(files: Iterable[Path], since: float) -> "Found":
    """With a bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from wernicke_daemon.tuning import log_files

    files = list(files)
    columns = TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=log_files.size(files))
        return log_files.summarised(files, since, lambda size: progress.advance(task, size))


def _language() -> "Language":
    return "ja" if (locale.getlocale()[0] or "").lower().startswith("ja") else "en"
