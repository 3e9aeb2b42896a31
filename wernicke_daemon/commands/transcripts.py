"""`wernicke sessions`, `export` and `name`: what the daemon has kept in its transcript file, whether it runs or not.

The file itself is that of `records/transcript_file.py`. No daemon is asked: these "sessions" are past ones, or present
ones as far as they are on disk.
"""

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wernicke_daemon.client import Exit
from wernicke_daemon.commands import options, outputs
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.outputs import ENDINGS
from wernicke_daemon.formats.one_clock import one_clock
from wernicke_daemon.formats.subtitles import to_txt
from wernicke_daemon.wire.protocol import utc_text

if TYPE_CHECKING:
    from wernicke_daemon.records.session_list import SessionSummary


def add_commands(commands: Subparsers) -> None:
    sessions = commands.add_parser("sessions", help="list the transcripts that the daemon has kept")
    options.add_config(sessions)
    sessions.add_argument("--json", action="store_true", help="for programs: begun in UTC, length in seconds")
    sessions.set_defaults(command=_sessions)
    export = commands.add_parser("export", help="write out one of them")
    export.add_argument("session", metavar="SESSION", help="its id, the beginning of it, or last")
    export.add_argument("-o", "--output", type=Path, metavar="OUT", help=f"file ({ENDINGS}); without it text is shown")
    options.add_config(export)
    export.set_defaults(command=_export)
    name = commands.add_parser("name", help="say in one of them who a speaker is")
    name.add_argument("session", metavar="SESSION", help="its id, the beginning of it, or last")
    name.add_argument("speaker", metavar="SPEAKER", help="as the transcript has it, such as Speaker_01")
    name.add_argument("name", metavar="NAME")
    options.add_config(name)
    name.set_defaults(command=_name)


def _sessions(args: argparse.Namespace) -> int:
    """List what was kept, the latest last. Raises NoTranscript where there is no file of it."""
    from wernicke_daemon.records import session_list, transcript_file

    file = _file(args)
    with transcript_file.reading(file) as database:
        found = session_list.sessions(database)[::-1]
    if args.json:
        print(msgspec.json.format(msgspec.json.encode([_plain(session) for session in found]), indent=2).decode())
    elif found:
        _print_table(found)
    else:
        print(f"There are no sessions in {file} yet.")
    return Exit.OK


def _export(args: argparse.Namespace) -> int:
    """Write one session, with those that it goes on for and that go on for it, to a file, or print it. Raises
    NoTranscript, BadOutput."""
    from wernicke_daemon.records import transcript_file

    if args.output:
        outputs.check(args.output)
    with transcript_file.reading(_file(args)) as database:
        session = transcript_file.find(database, args.session)
        parts = transcript_file.meeting(database, session)
        results = one_clock([(offset_s, transcript_file.results(database, part)) for part, offset_s in parts])
    finals = [result for result in results if result["type"] == "final"]
    if failed := sum(result["type"] == "error" for result in results):
        outputs.complain(f"{failed} of the utterances could not be transcribed; they are left out.")
    if not finals:
        outputs.complain(f"Session {session} has no text.")
        return Exit.EMPTY
    if args.output:
        outputs.write(args.output, finals)
    else:
        print(to_txt(finals), end="")
    return Exit.OK


def _name(args: argparse.Namespace) -> int:
    """Rename a speaker of one session, and of those that it goes on for and that go on for it. Raises NoTranscript,
    BadName."""
    from wernicke_daemon.records import stored_speakers, transcript_file
    from wernicke_daemon.utterances.titles import checked

    name, file = checked(args.name), _file(args)
    with transcript_file.reading(file) as database:
        parts = [part for part, _ in transcript_file.meeting(database, transcript_file.find(database, args.session))]
    results = stored_speakers.rename(file, parts, args.speaker, name)
    print(f"{args.speaker} is {name} now, in {results} {'result' if results == 1 else 'results'}.")
    return Exit.OK


def _file(args: argparse.Namespace) -> Path:
    """Where the daemon with these settings keeps transcripts. Raises ConfigError."""
    from wernicke_daemon.records import transcript_file

    return options.settings(args).data_path / transcript_file.FILE_NAME


def _plain(session: "SessionSummary") -> dict[str, object]:
    return {
        **msgspec.structs.asdict(session),
        "begun": utc_text(session.begun),
        "length_s": round(session.length_s, 3),
        "voices": len(session.speakers),
    }


def _print_table(found: "list[SessionSummary]") -> None:
    """Never cut to the terminal's width: an id is there to be copied."""
    rows = [("session", "begun", "length", "results", "language", "voices", "continues"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(session: "SessionSummary") -> tuple[str, ...]:
    return (
        session.id,
        datetime.fromtimestamp(session.begun).strftime("%Y-%m-%d %H:%M:%S"),
        _length(session.length_s),
        str(session.results),
        session.language or "",
        str(len(session.speakers)),
        session.continues or "",
    )


def _length(seconds: float) -> str:
    """h:mm:ss"""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
