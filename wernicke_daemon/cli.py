"""The command line, `wernicke COMMAND`: each command registers itself, and imports what is heavy when it runs."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from ipc import dll
from ipc.errors import WernickeError
from wernicke_daemon import not_started
from wernicke_daemon.client import Exit
from wernicke_daemon.commands import (
    doctor,
    evaluate,
    listen,
    models,
    report,
    search,
    security,
    serve,
    status,
    stop,
    summary,
    transcribe,
    transcripts,
    voices,
)
from wernicke_daemon.commands.outputs import complain, exit_code

_IN_ORDER = (
    serve,
    transcribe,
    listen,
    transcripts,
    search,
    summary,
    voices,
    status,
    stop,
    security,
    models,
    doctor,
    evaluate,
    report,
)
"""As --help lists them."""

_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script `wernicke`. Returns an exit code (see `client.Exit`; 130 after Ctrl-C)."""
    return _run(_parser(), argv)


def serve_main(argv: Sequence[str] | None = None) -> int:
    """`run_daemon.py`: the same as `wernicke serve`. Returns an exit code."""
    parser = _ServeParser("run_daemon.py", description="Transcription daemon: speech in, who said what back.")
    serve.add_options(parser)
    return _run(parser, argv)


class _ServeParser(argparse.ArgumentParser):
    """Says what is wrong with its options where there is no console, too."""

    def error(self, message: str) -> NoReturn:
        if sys.stderr is None:
            not_started.leave(WernickeError(message), None, Path.cwd())
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("wernicke", description="Local transcription: who said what, when.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _IN_ORDER:
        module.add_commands(commands)
    return parser


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    _any_script_on_pipes()
    args = parser.parse_args(argv)
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        code = command(args)
        print(end="", flush=True)  # an error of stdout is raised here; at the interpreter's exit it would be lost
        return code
    except WernickeError as error:
        complain(error)
        return exit_code(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except ImportError as error:
        if (why := dll.why(error)) is None:
            raise
        complain(WernickeError(f"{why[0].upper()}{why[1:]}."))
        return Exit.USAGE
    except OSError as error:
        if not _reader_has_gone(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK


def _reader_has_gone(error: OSError) -> bool:
    """Whether the pipe being written to was closed, as in `wernicke export last | head`. On Windows that is EINVAL."""
    on_windows = os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    return on_windows or isinstance(error, BrokenPipeError)


def _any_script_on_pipes() -> None:
    """UTF-8 for redirected streams: Windows gives them the country's code page, which may not hold Japanese."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What the encoding can't hold, such as a file name that is no text, is written as an escape.
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
