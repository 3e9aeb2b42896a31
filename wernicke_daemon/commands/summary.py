"""`wernicke summary`: decisions, open points and tasks of a transcript, by the language model.

Without a daemon it is made here. Where one runs with these settings, or with --url, the daemon makes it, as it knows
when nobody speaks: live speech goes first.
"""

import argparse
import time
from typing import TYPE_CHECKING, Any

import msgspec

from wernicke_daemon.client import ClientError, Exit
from wernicke_daemon.commands import options, outputs, transcripts
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.formats.subtitles import clock, one_line

if TYPE_CHECKING:
    from ipc.summary import Made, Message
    from wernicke_daemon.config.schema import Config
    from wernicke_daemon.records.reading import Transcript
    from wernicke_daemon.records.stored_summaries import Statement, Summary

_HEADINGS = {"decision": "Decisions", "open": "Open points", "task": "Who does what until when"}

_ANSWERS_S = 5.0
"""For a daemon on this machine to be connected to."""

_STEPS = {
    "queued": "Another summary is made first.",
    "speech": "It waits until nobody speaks: live results go first.",
    "loading": "The language model is loaded.",
    "merging": "The parts are put together.",
}


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("summary", help="what was decided, is open, is to be done, by the language model")
    parser.add_argument("session", metavar="SESSION", help="its id, the beginning of it, or last")
    parser.add_argument("--anew", action="store_true", help="make another one in place of the one that is kept")
    parser.add_argument("--json", action="store_true", help="for programs: as /sessions/ID/summary has it")
    options.add_config(parser)
    options.add_profile(parser)
    options.add_remote(parser)
    parser.set_defaults(command=_summary)


def _summary(args: argparse.Namespace) -> int:
    """Raises NoTranscript, NoSummary, ConfigError, ClientError."""
    found, outdated = _found(args)
    if outdated:
        outputs.note("The transcript has changed since this summary was made; --anew makes another one.")
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show(found)
    return Exit.OK


def _found(args: argparse.Namespace) -> "tuple[Summary, bool]":
    """And whether the transcript has changed since."""
    from wernicke_daemon.commands import remote_transcripts

    if not args.url:
        config = options.planned_settings(args)
        if not _daemon_runs(config):
            return _here(args, config)
        _ask_daemon(args, config)
    state = remote_transcripts.summary(args, args.session, args.anew, _Notes().remote)
    assert state.summary is not None
    return state.summary, state.outdated


# --- where no daemon runs --------------------------------------------------------------------------


def _here(args: argparse.Namespace, config: "Config") -> "tuple[Summary, bool]":
    from wernicke_daemon.records import reading, stored_summaries, transcript_file
    from wernicke_daemon.summaries.making import summary_of

    file = transcripts.file_of(args)
    with transcript_file.reading(file) as database:
        transcript = reading.transcript(database, args.session)
        kept = stored_summaries.of(database, transcript.session)
    if kept is not None and not args.anew:
        return kept, kept.of != stored_summaries.fingerprint(transcript.turns)
    summary = summary_of(transcript, _made(transcript, config), config.llm.model, time.time())
    stored_summaries.keep(file, transcript, summary)
    return summary, False


def _made(transcript: "Transcript", config: "Config") -> "Made":
    """Raises NoSummary."""
    from ipc.summary import Failed, Made
    from wernicke_daemon.summaries import making

    work, notes = making.work_for(transcript, config), _Notes()
    process = making.started()
    try:
        for message in making.said(process, work):
            if isinstance(message, Made):
                return message
            if isinstance(message, Failed):
                raise making.NoSummary(message.reason)
            notes.local(message)
    finally:
        process.kill()
    raise AssertionError("the last message is Made or Failed")


# --- where one does --------------------------------------------------------------------------------


def _daemon_runs(config: "Config") -> bool:
    """With these settings' data directory, on this machine."""
    import socket

    from wernicke_daemon import stop_requests

    try:
        there = stop_requests.running(config.data_path)
        if there is None:
            return False
        socket.create_connection(("127.0.0.1", there.port), _ANSWERS_S).close()
    except OSError:  # it was killed, or is another user's
        return False
    return True


def _ask_daemon(args: argparse.Namespace, config: "Config") -> None:
    """Sets where it is. Raises ClientError."""
    from wernicke_daemon.wire.listening import reachable, url_host

    if not config.port:
        raise ClientError("A daemon runs with these settings, on a port that they don't name: give --url.", Exit.USAGE)
    tls = config.tls_files
    args.url = f"{'wss' if tls else 'ws'}://{url_host(reachable(config.host))}:{config.port}/transcribe"
    args.cafile = args.cafile or (tls and tls[0])


# --- what is shown ---------------------------------------------------------------------------------


class _Notes:
    """On stderr, each once."""

    def __init__(self) -> None:
        self._last = ""

    def local(self, message: "Message") -> None:
        from ipc.summary import Loading, Merging, Reading

        match message:
            case Loading():
                self._note("loading", 0, 0)
            case Reading(done, of):
                self._note("reading", done, of)
            case Merging():
                self._note("merging", 0, 0)

    def remote(self, progress: Any) -> None:
        self._note(progress.step, progress.done, progress.of)

    def _note(self, step: str, done: int, of: int) -> None:
        sentence = _STEPS.get(step, f"Part {done + 1} of {of} is summarized.")
        if sentence != self._last:
            outputs.note(sentence)
        self._last = sentence


def _show(summary: "Summary") -> None:
    from wernicke_daemon.summaries.making import made_at

    print(f"Made by the language model {one_line(summary.model)}, {made_at(summary):%Y-%m-%d %H:%M}; it may be wrong.")
    for kind, heading in _HEADINGS.items():
        found = [statement for statement in summary.statements if statement.kind == kind]
        if found:
            print(f"\n{heading}")
        for statement in found:
            print(f"- {_line(statement)}")
    if not summary.statements:
        print("Nothing was found that is decided, open or to be done.")
    if summary.dropped:
        print(f"\nLeft out, as the lines do not say so: {summary.dropped}.")


def _line(statement: "Statement") -> str:
    who = f"{one_line(statement.who)}: " if statement.who else ""
    until = f" ({one_line(statement.until)})" if statement.until else ""
    places = ", ".join(clock(line.start) for line in statement.lines)
    return f"{who}{one_line(statement.text)}{until} [{places}]"
