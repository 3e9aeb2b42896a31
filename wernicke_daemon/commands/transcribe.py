"""`wernicke transcribe`: files to the server, results to the terminal and to files."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ipc.errors import WernickeError
from wernicke_daemon.client import Client, Exit, ParsedMessage, exchange, problem
from wernicke_daemon.commands import options, outputs
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.outputs import ENDINGS, BadOutput, complain, exit_code
from wernicke_daemon.commands.showing import Showing
from wernicke_daemon.formats.subtitles import FORMATS

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("transcribe", help="transcribe audio and video files")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help=f"file ({ENDINGS}) or directory")
    parser.add_argument("--format", choices=list(FORMATS), default="txt", help="of files in an -o directory")
    parser.add_argument("--realtime", action="store_true", help="send as fast as it is spoken, and show it growing")
    options.add_live_file(parser)
    options.add_server(parser)
    options.add_language(parser)
    parser.set_defaults(command=_transcribe)


def _transcribe(args: argparse.Namespace) -> int:
    """All files, each in a session of its own; the exit code is that of the first that failed. Raises BadOutput."""
    first_failure = Exit.OK
    for file, output in zip(args.files, _outputs(args.files, args.output, args.format), strict=True):
        code = _transcribe_one(args, file, output)
        first_failure = first_failure or code
        if code in (Exit.USAGE, Exit.UNREACHABLE, Exit.REFUSED):
            break  # the next file would fail in the same way
    return first_failure


def _outputs(files: list[Path], output: Path | None, format_name: str) -> list[Path | None]:
    """Where each transcript goes. Raises BadOutput for what can't be written."""
    if output is None:
        return [None] * len(files)
    if not output.is_dir():
        return [_output_file(files, output)]
    paths = [output / f"{file.stem}.{format_name}" for file in files]
    if len(set(paths)) < len(paths):
        raise BadOutput("Several files have the same name; transcribe them one at a time, each with its own -o.")
    return [*paths]


def _output_file(files: list[Path], output: Path) -> Path:
    if len(files) > 1:
        raise BadOutput(f"{output} is no directory; with several files -o must name one that exists.")
    outputs.check(output)
    return output


def _transcribe_one(args: argparse.Namespace, file: Path, output: Path | None) -> Exit:
    """What came before a failure, or before Ctrl-C, is written too."""
    finals: list[ParsedMessage] = []
    code = Exit.LOST
    try:
        problems = asyncio.run(_session(args, file, finals))
        code = Exit.LOST if problems else Exit.OK
    except WernickeError as error:
        complain(error)
        code = exit_code(error)
    finally:
        if output and (finals or code == Exit.OK):
            code = _write(output, finals) or code
    return code


def _write(output: Path, finals: list[ParsedMessage]) -> Exit:
    try:
        outputs.write(output, finals)
    except BadOutput as error:
        complain(error)
        return exit_code(error)
    return Exit.OK


async def _session(args: argparse.Namespace, file: Path, finals: list[ParsedMessage]) -> list[str]:
    """Fills `finals`, returns what did not come back. Raises BadOutput, ClientError, MediaError."""
    from wernicke_daemon.formats.audio_files import decode, duration, stream

    seconds = duration(file)
    showing = Showing(args.live_file, grows=args.realtime)
    progress, task = _progress(file.name, seconds, hidden=showing.terminal is not None)
    problems: list[str] = []

    def receive(message: ParsedMessage) -> None:
        showing.take(message)
        if message.get("type") == "final":
            finals.append(message)
            progress.update(task, completed=message["timestamp_range"]["end"])
        elif sentence := problem(message):
            problems.append(sentence)
            complain(sentence)

    async with Client(
        args.url, token=args.token, language=args.language, events=showing.events, cafile=args.cafile
    ) as client:
        chunks = decode(file, client.audio.sample_rate, client.audio.channels)
        with progress, showing:
            await exchange(client, stream(chunks, client.audio.sample_rate, realtime=args.realtime), receive)
    return problems


def _progress(name: str, seconds: float | None, *, hidden: bool) -> "tuple[Progress, TaskID]":
    """A bar on stderr of how far the results have come, and its task. seconds: None for unknown length. hidden: what
    is shown on the terminal leaves no room for it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden or not sys.stderr.isatty(),
        # Results printed meanwhile must come above the bar on a terminal, and stay on stdout in a pipe.
        redirect_stdout=sys.stdout.isatty(),
    )
    return progress, progress.add_task(name, total=seconds)
