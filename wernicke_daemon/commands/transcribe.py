"""`wernicke transcribe`: files to the server, results to the terminal and to files."""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ipc import event_loop
from ipc.errors import WernickeError
from wernicke_daemon.client import MONO_16K, Client, Exit, ParsedMessage, exchange, problem
from wernicke_daemon.commands import options, outputs
from wernicke_daemon.commands.input_notes import about_nothing, about_skipped, about_track, gaps
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.outputs import ENDINGS, BadOutput, complain, exit_code, note, warn
from wernicke_daemon.commands.showing import Showing
from wernicke_daemon.formats.exports import FORMATS
from wernicke_daemon.formats.file_clock import HOLE, TOLERANCE_S
from wernicke_daemon.formats.finals import Finals
from wernicke_daemon.formats.media import STDIN
from wernicke_daemon.formats.subtitles import cues

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from wernicke_daemon.formats.audio_files import Reading


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("transcribe", help="transcribe audio and video files")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="or a pipe; - is standard input")
    parser.add_argument("--track", type=int, metavar="N", help="audio track, from 1 (default: as FFmpeg chooses)")
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
    paths = [output / f"{_stem(file)}.{format_name}" for file in files]
    if len({str(path).casefold() for path in paths}) < len(paths):  # Windows and macOS take both for one
        raise BadOutput("Several files have the same name; transcribe them one at a time, each with its own -o.")
    for path in paths:
        outputs.check(path)
    return [*paths]


def _stem(file: Path) -> str:
    return "stdin" if file == STDIN else file.stem


def _output_file(files: list[Path], output: Path) -> Path:
    if len(files) > 1:
        raise BadOutput(f"{output} is no directory; with several files -o must name one that exists.")
    outputs.check(output)
    return output


@dataclass
class _Transcript:
    """What came. losses: what did not, of which the user was told."""

    came: Finals = field(default_factory=Finals)
    losses: list[ParsedMessage] = field(default_factory=list)

    @property
    def finals(self) -> list[ParsedMessage]:
        return self.came.all

    @property
    def has_text(self) -> bool:
        return bool(cues(self.finals))

    @property
    def code(self) -> Exit:
        if any(_misses_words(loss) for loss in self.losses):
            return Exit.LOST
        return Exit.OK if self.has_text else Exit.EMPTY


def _misses_words(loss: ParsedMessage) -> bool:
    """Whether it may be why words are missing: not where a file has nothing, or less than any word."""
    return loss["type"] != "gap" or bool(loss["reason"] != HOLE and loss["to"] - loss["from"] >= TOLERANCE_S)


def _transcribe_one(args: argparse.Namespace, file: Path, output: Path | None) -> Exit:
    """What came before a failure, or before Ctrl-C, is written too."""
    transcript = _Transcript()
    whole, code = False, Exit.LOST
    try:
        event_loop.run(_session(args, file, transcript))
        whole, code = True, transcript.code
    except WernickeError as error:
        complain(error)
        code = exit_code(error)
    finally:
        if output:
            code = _write(output, transcript, whole) or code
    return code


def _write(output: Path, transcript: _Transcript, whole: bool) -> Exit:
    """whole: up to the end of the file. Neither nothing nor a part takes the place of what is there, which may be the
    whole transcript of another time."""
    if not transcript.has_text:
        note(f"{output} {'is left as it was' if output.exists() else 'is not written'}: there is no text for it.")
        return Exit.OK
    if output.is_file() and not whole:
        kept, output = output, output.with_stem(f"{output.stem}.partial")
        note(f"{kept} is left as it was; what came this time is in {output}.")
    try:
        outputs.write(output, transcript.finals, transcript.losses)
    except BadOutput as error:
        complain(error)
        return exit_code(error)
    return Exit.OK


async def _session(args: argparse.Namespace, source: Path, transcript: _Transcript) -> None:
    """Fills `transcript`. Raises BadOutput, ClientError, MediaError."""
    from wernicke_daemon.formats.audio_files import reading

    showing = Showing(args.live_file, grows=args.realtime)
    async with reading(source, MONO_16K.sample_rate, args.track) as audio:
        if args.track is None and (sentence := about_track(audio.file)):
            note(sentence)
        try:
            await _send(args, audio, showing, transcript)
            if not transcript.has_text:
                complain(about_nothing(audio.file))
        finally:
            transcript.losses += gaps(audio.file)
            for sentence in about_skipped(audio.file):
                warn(sentence)


async def _send(args: argparse.Namespace, audio: "Reading", showing: Showing, transcript: _Transcript) -> None:
    from wernicke_daemon.formats.audio_files import stream

    progress, task = _progress(audio.file.name, audio.file.length, hidden=showing.terminal is not None)

    def receive(message: ParsedMessage) -> None:
        showing.take(message)
        transcript.came.take(message)
        if message.get("type") == "final":
            progress.update(task, completed=message["timestamp_range"]["end"])
        elif sentence := problem(message):
            transcript.losses.append(message)
            complain(sentence)

    async with Client(
        args.url, token=args.token, language=args.language, events=showing.events, cafile=args.cafile, told=note
    ) as client:
        with progress, showing:
            await exchange(client, stream(audio.chunks(), MONO_16K.sample_rate, realtime=args.realtime), receive)


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
