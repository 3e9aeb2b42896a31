"""`wernicke search`: what was said in the transcripts that are kept, on this machine or by a daemon elsewhere."""

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from wernicke_daemon.client import Exit
from wernicke_daemon.commands import options, outputs, transcripts
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.formats.subtitles import clock, one_line

if TYPE_CHECKING:
    from rich.text import Text

    from wernicke_daemon.records.search import Found, Hit, Line


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("search", help="find what was said in the transcripts that are kept")
    parser.add_argument(
        "query", metavar="TERM", nargs="+", help="all have to be in one result; several words in quotes"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="hits at most (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="for programs: as /search has it")
    options.add_config(parser)
    options.add_remote(parser)
    parser.set_defaults(command=_search)


def _search(args: argparse.Namespace) -> int:
    """The latest first. Raises BadSearch, NoTranscript, ClientError."""
    found = _found(args)
    if not found.complete:
        outputs.note("Older transcripts are still being indexed; not everything is found yet.")
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show(found)
    if not found.hits:
        outputs.complain("Nothing was found.")
        return Exit.EMPTY
    return Exit.OK


def _found(args: argparse.Namespace) -> "Found":
    from wernicke_daemon.commands import remote_transcripts
    from wernicke_daemon.records import search

    query = " ".join(f'"{term}"' if any(map(str.isspace, term)) else term for term in args.query)
    limit = max(1, min(args.limit, search.MOST_HITS))
    if args.url:
        return remote_transcripts.search(args, query, limit)
    return search.search(transcripts.file_of(args), query, limit)


def _show(found: "Found") -> None:
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    session = ""
    for hit in found.hits:
        console.print(_heading(hit) if hit.session != session else "--", soft_wrap=True)
        session = hit.session
        for line in hit.before:
            console.print(_line(line, "dim"), soft_wrap=True)
        for line in hit.lines:
            console.print(_line(line, ""), soft_wrap=True)
        for line in hit.after:
            console.print(_line(line, "dim"), soft_wrap=True)


def _heading(hit: "Hit") -> "Text":
    from rich.text import Text

    try:
        when = datetime.fromisoformat(hit.wall_start).astimezone().strftime("  %Y-%m-%d %H:%M")
    except ValueError:
        when = ""
    return Text(f"{hit.session}{when}", style="bold")


def _line(line: "Line", style: str) -> "Text":
    from rich.text import Text

    speaker = f"{one_line(line.speaker)}: " if line.speaker else ""
    shown = Text(f"[{clock(line.start)}] {speaker}", style=style)
    at = 0
    for start, end in line.marks:
        shown.append(_printable(line.text[at:start]))
        shown.append(_printable(line.text[start:end]), style="bold reverse")
        at = end
    shown.append(_printable(line.text[at:]))
    return shown


def _printable(text: str) -> str:
    """Of a line, with its blanks; without what would control a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
