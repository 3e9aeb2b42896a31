"""`wernicke sessions`, `export` and `name`: what the daemon has kept in its transcript file, whether it runs or not;
with --url what a daemon elsewhere has kept.

The file itself is that of `records/transcript_file.py`. Without --url no daemon is asked: these "sessions" are past
ones, or present ones as far as they are on disk.
"""

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

_Listed = dict[str, Any]
"""A session as --json shows it."""


def add_commands(commands: Subparsers) -> None:
    sessions = commands.add_parser("sessions", help="list the transcripts that the daemon has kept")
    options.add_config(sessions)
    options.add_remote(sessions)
    sessions.add_argument("--json", action="store_true", help="for programs: begun in UTC, length in seconds")
    sessions.set_defaults(command=_sessions)
    export = commands.add_parser("export", help="write out one of them")
    export.add_argument("session", metavar="SESSION", help="its id, the beginning of it, or last")
    export.add_argument("-o", "--output", type=Path, metavar="OUT", help=f"file ({ENDINGS}); without it text is shown")
    options.add_config(export)
    options.add_remote(export)
    export.set_defaults(command=_export)
    name = commands.add_parser("name", help="say in one of them who a speaker is")
    name.add_argument("session", metavar="SESSION", help="its id, the beginning of it, or last")
    name.add_argument("speaker", metavar="SPEAKER", help="as the transcript has it, such as Speaker_01")
    name.add_argument("name", metavar="NAME")
    options.add_config(name)
    name.set_defaults(command=_name)


def _sessions(args: argparse.Namespace) -> int:
    """List what was kept, the latest last. Raises NoTranscript where there is no file of it, and ClientError."""
    found = _listed(args)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif found:
        _print_table(found)
    else:
        print(f"There are no sessions {f'at {args.url}' if args.url else f'in {file_of(args)}'} yet.")
    return Exit.OK


def _listed(args: argparse.Namespace) -> list[_Listed]:
    from wernicke_daemon.commands import remote_transcripts
    from wernicke_daemon.records import session_list, transcript_file

    if args.url:
        return remote_transcripts.sessions(args)[::-1]
    with transcript_file.reading(file_of(args)) as database:
        return [_plain(session) for session in session_list.sessions(database)[::-1]]


def _export(args: argparse.Namespace) -> int:
    """Write one session, with those that it goes on for and that go on for it, to a file, or print it. Raises
    NoTranscript, BadOutput, ClientError."""
    if args.output:
        outputs.check(args.output)
    return _export_remote(args) if args.url else _export_local(args)


def _export_remote(args: argparse.Namespace) -> int:
    from wernicke_daemon.commands import remote_transcripts

    written = remote_transcripts.export(args, args.session, outputs.ending(args.output) if args.output else "txt")
    if args.output:
        outputs.write_bytes(args.output, written)
    else:
        print(written.decode(), end="")
    return Exit.OK


def _export_local(args: argparse.Namespace) -> int:
    from wernicke_daemon.records import transcript_file

    with transcript_file.reading(file_of(args)) as database:
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

    name, file = checked(args.name), file_of(args)
    with transcript_file.reading(file) as database:
        parts = [part for part, _ in transcript_file.meeting(database, transcript_file.find(database, args.session))]
    results = stored_speakers.rename(file, parts, args.speaker, name)
    print(f"{args.speaker} is {name} now, in {results} {'result' if results == 1 else 'results'}.")
    return Exit.OK


def file_of(args: argparse.Namespace) -> Path:
    """Where the daemon with these settings keeps transcripts. Raises ConfigError."""
    from wernicke_daemon.records import transcript_file

    return options.settings(args).data_path / transcript_file.FILE_NAME


def _plain(session: "SessionSummary") -> _Listed:
    return {
        **msgspec.structs.asdict(session),
        "begun": utc_text(session.begun),
        "length_s": round(session.length_s, 3),
    }


def _print_table(found: list[_Listed]) -> None:
    """Never cut to the terminal's width: an id is there to be copied."""
    rows = [("session", "begun", "length", "results", "language", "voices", "continues"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(session: _Listed) -> tuple[str, ...]:
    return (
        session["id"],
        datetime.fromisoformat(session["begun"]).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        _length(session["length_s"]),
        str(session["results"]),
        session["language"] or "",
        str(len(session["speakers"])),
        session["continues"] or "",
    )


def _length(seconds: float) -> str:
    """h:mm:ss"""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
