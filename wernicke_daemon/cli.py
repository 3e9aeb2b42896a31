"""The command line: `wernicke serve | transcribe | listen`. What is heavy is imported by the command that needs it."""

import argparse
import asyncio
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipc.errors import WernickeError
from wernicke_daemon.client import DEFAULT_URL, Client, ClientError, Exit, Message, exchange, problem
from wernicke_daemon.exports import FORMATS, cues

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from wernicke_daemon.config import Config

_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script `wernicke`. Returns an exit code (see `client.Exit`; 130 after Ctrl-C)."""
    return _run(_parser(), argv)


def serve_main(argv: Sequence[str] | None = None) -> int:
    """`run_daemon.py`: the same as `wernicke serve`. Returns an exit code."""
    parser = argparse.ArgumentParser(
        "run_daemon.py", description="Transcription daemon: speech in, who said what back."
    )
    _add_serve_options(parser)
    return _run(parser, argv)


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    _any_script_on_pipes()
    args = parser.parse_args(argv)
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        return command(args)
    except WernickeError as error:
        _complain(error)
        return _exit_code(error)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _any_script_on_pipes() -> None:
    """On Windows a redirected stream has the code page of the country, which can't hold Japanese everywhere."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
            stream.reconfigure(encoding="utf-8")


def _complain(what: object) -> None:
    print(f"error: {what}", file=sys.stderr, flush=True)


def _exit_code(error: WernickeError) -> Exit:
    """Errors of a session know theirs; all others are about what was to be sent."""
    return error.exit_code if isinstance(error, ClientError) else Exit.INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("wernicke", description="Local transcription: who said what, when.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve_options(commands.add_parser("serve", help="run the daemon"))
    _add_transcribe_options(commands.add_parser("transcribe", help="transcribe audio and video files"))
    _add_listen_options(commands.add_parser("listen", help="transcribe the microphone until Ctrl-C"))
    return parser


def _add_serve_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="PATH", help="settings; config.toml where there is one")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--profile", choices=["auto", "embedded"], help="embedded: the engines that need no download, and English"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check-config", action="store_true", help="show the settings in force and end")
    what.add_argument("--demo", action="store_true", help="transcribe a bundled clip, with settings of its own")
    parser.set_defaults(command=_serve)


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=DEFAULT_URL, help="the server (default: %(default)s)")
    parser.add_argument(
        "--token", default=os.environ.get("WERNICKE_TOKEN"), help="the server's token (default: $WERNICKE_TOKEN)"
    )
    parser.add_argument("--language", help="what is spoken, like ja or en, or auto (default: the server's)")


def _add_transcribe_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help=f"file ({_endings()}) or directory")
    parser.add_argument("--format", choices=list(FORMATS), default="txt", help="of files in an -o directory")
    parser.add_argument("--realtime", action="store_true", help="send as fast as it is spoken, not as it is taken")
    _add_session_options(parser)
    parser.set_defaults(command=_transcribe)


def _add_listen_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--live-file", type=Path, metavar="PATH", help="append the results to this file too")
    _add_session_options(parser)
    parser.set_defaults(command=_listen)


# --- serve -----------------------------------------------------------------------------------------


def _serve(args: argparse.Namespace) -> int:
    from wernicke_daemon.config import ConfigError, apply_profile, load, overrides

    if args.demo:
        return _demo(args)
    try:
        file = args.config or _config_beside_script()
        config = apply_profile(overrides(load(file), args.host, args.port, args.profile))
    except ConfigError as error:
        _complain(error)
        return Exit.USAGE
    return _show_settings(config) if args.check_config else _start(config)


def _demo(args: argparse.Namespace) -> int:
    from wernicke_daemon.demo_run import demo

    if any(option is not None for option in (args.config, args.host, args.port, args.profile)):
        _complain("--demo has settings of its own; leave the other options out.")
        return Exit.USAGE
    return demo()


def _config_beside_script() -> Path | None:
    """config.toml of a checkout, from wherever run_daemon.py is started; None leaves it to `config.load`."""
    root = Path(__file__).resolve().parent.parent
    file = root / "config.toml"
    return file if file.exists() and (root / "run_daemon.py").exists() else None


def _start(config: "Config") -> int:
    from wernicke_daemon.daemon import serve

    try:
        return serve(config, announce=lambda line: print(line, flush=True))
    except WernickeError as error:
        _complain(error)
        return 1


def _show_settings(config: "Config") -> int:
    import msgspec
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "value")
    for name, value in _leaves(msgspec.to_builtins(config), ""):
        table.add_row(name, value)
    console = Console(markup=False, highlight=False)
    console.print("config OK")
    console.print(table)
    return Exit.OK


def _leaves(settings: dict[str, Any], path: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        rows += _leaves(value, f"{path}{name}.") if isinstance(value, dict) else [(f"{path}{name}", str(value))]
    return rows


# --- transcribe ------------------------------------------------------------------------------------


def _transcribe(args: argparse.Namespace) -> int:
    """All files, each in a session of its own; the exit code is that of the first that failed."""
    try:
        outputs = _outputs(args.files, args.output, args.format)
    except ValueError as error:
        _complain(error)
        return Exit.USAGE
    first_failure = Exit.OK
    for file, output in zip(args.files, outputs, strict=True):
        code = _transcribe_one(args, file, output)
        first_failure = first_failure or code
        if code in (Exit.USAGE, Exit.UNREACHABLE, Exit.REFUSED):
            break  # the next file would meet the same
    return first_failure


def _outputs(files: list[Path], output: Path | None, format_name: str) -> list[Path | None]:
    """Where each transcript goes. Raises ValueError with a sentence for what can't be written."""
    if output is None:
        return [None] * len(files)
    if not output.is_dir():
        return [_output_file(files, output)]
    paths = [output / f"{file.stem}.{format_name}" for file in files]
    if len(set(paths)) < len(paths):
        raise ValueError("Several files have the same name; transcribe them one at a time, each with its own -o.")
    return [*paths]


def _output_file(files: list[Path], output: Path) -> Path:
    if len(files) > 1:
        raise ValueError(f"{output} is no directory; with several files -o must name one that exists.")
    if _extension(output) not in FORMATS:
        raise ValueError(f"{output} should end in {_endings()}.")
    if not output.parent.is_dir():
        raise ValueError(f"The directory {output.parent} does not exist; make it first.")
    return output


def _endings() -> str:
    return ", ".join(f".{name}" for name in FORMATS)


def _transcribe_one(args: argparse.Namespace, file: Path, output: Path | None) -> Exit:
    """What came before a failure, or before Ctrl-C, is written too."""
    finals: list[Message] = []
    code = Exit.LOST
    try:
        problems = asyncio.run(_session(args, file, finals))
        code = Exit.LOST if problems else Exit.OK
    except WernickeError as error:
        _complain(error)
        code = _exit_code(error)
    finally:
        if output and (finals or code == Exit.OK):
            code = _write(output, finals) or code
    return code


def _write(output: Path, finals: list[Message]) -> Exit:
    text = FORMATS[_extension(output)](finals)
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        _complain(f"{output} can't be written: {error.strerror}.")
        return Exit.USAGE
    return Exit.OK


def _extension(output: Path) -> str:
    return output.suffix.lower().removeprefix(".")


async def _session(args: argparse.Namespace, file: Path, finals: list[Message]) -> list[str]:
    """Fills `finals`, returns what did not come back. Raises ClientError, MediaError."""
    from wernicke_daemon.media import decode, duration, stream

    progress, task = _progress(file.name, duration(file))
    problems: list[str] = []

    def receive(message: Message) -> None:
        if message.get("type") == "final":
            finals.append(message)
            progress.update(task, completed=message["timestamp_range"]["end"])
            for cue in cues([message]):
                print(cue.line, flush=True)
        elif sentence := problem(message):
            problems.append(sentence)
            _complain(sentence)

    async with Client(args.url, token=args.token, language=args.language) as client:
        chunks = decode(file, client.audio.sample_rate, client.audio.channels)
        with progress:
            await exchange(client, stream(chunks, client.audio.sample_rate, realtime=args.realtime), receive)
    return problems


def _progress(name: str, seconds: float | None) -> "tuple[Progress, TaskID]":
    """A bar on stderr of how far the results have come, and its task. None: of unknown length."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
        # Results printed meanwhile must come above the bar on a terminal, and stay on stdout in a pipe.
        redirect_stdout=sys.stdout.isatty(),
    )
    return progress, progress.add_task(name, total=seconds)


# --- listen ----------------------------------------------------------------------------------------


def _listen(args: argparse.Namespace) -> int:
    from wernicke_daemon.listen import listen

    live_file = args.live_file.expanduser() if args.live_file else None
    return asyncio.run(listen(args.url, args.token, args.language, live_file))
