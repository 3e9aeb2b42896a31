"""`wernicke sessions` and `wernicke export`: what the daemon has kept, whether it runs or not."""

import argparse
from datetime import datetime
from pathlib import Path

import msgspec

from wernicke_daemon.client import Exit
from wernicke_daemon.commands import outputs
from wernicke_daemon.formats.subtitles import to_txt
from wernicke_daemon.records import transcripts
from wernicke_daemon.records.transcripts import NoTranscript, SessionSummary
from wernicke_daemon.wire.protocol import utc_text


def sessions(file: Path, args: argparse.Namespace) -> int:
    """List what is in `file`, the latest last. Raises NoTranscript where there is no such file."""
    with transcripts.reading(file) as database:
        found = transcripts.sessions(database)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode([_plain(session) for session in found]), indent=2).decode())
    elif found:
        _print_table(found)
    else:
        print(f"There are no sessions in {file} yet.")
    return Exit.OK


def export(file: Path, args: argparse.Namespace) -> int:
    """Write one session of `file`, or print it. Raises NoTranscript, BadOutput."""
    if args.output:
        outputs.check(args.output)
    with transcripts.reading(file) as database:
        session = transcripts.find(database, args.session)
        results = transcripts.results(database, session)
    finals = [result for result in results if result["type"] == "final"]
    if failed := sum(result["type"] == "error" for result in results):
        outputs.complain(f"{failed} of the utterances could not be transcribed; they are left out.")
    if not finals:
        raise NoTranscript(f"Session {session} has no text.")
    if args.output:
        outputs.write(args.output, finals)
    else:
        print(to_txt(finals), end="")
    return Exit.OK


def _plain(session: SessionSummary) -> dict[str, object]:
    return {
        **msgspec.structs.asdict(session),
        "begun": utc_text(session.begun),
        "length_s": round(session.length_s, 3),
    }


def _print_table(found: list[SessionSummary]) -> None:
    """Never cut to the terminal's width: an id is there to be copied."""
    rows = [("session", "begun", "length", "results", "language", "voices"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(session: SessionSummary) -> tuple[str, ...]:
    return (
        session.id,
        datetime.fromtimestamp(session.begun).strftime("%Y-%m-%d %H:%M:%S"),
        _length(session.length_s),
        str(session.results),
        session.language or "",
        str(session.voices),
    )


def _length(seconds: float) -> str:
    """h:mm:ss"""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
