"""The command line, `wernicke COMMAND`. What is heavy is imported by the command that needs it."""

import argparse
import asyncio
import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipc.errors import WernickeError
from wernicke_daemon.client import DEFAULT_URL, Exit
from wernicke_daemon.commands import doctor, models, security
from wernicke_daemon.commands.outputs import ENDINGS, complain, exit_code
from wernicke_daemon.formats.subtitles import FORMATS

if TYPE_CHECKING:
    from wernicke_daemon.config.schema import Config

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
        code = command(args)
        print(end="", flush=True)  # what is wrong with stdout shows here, or nobody hears of it
        return code
    except WernickeError as error:
        complain(error)
        return exit_code(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        if not _reader_has_gone(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK


def _reader_has_gone(error: OSError) -> bool:
    """`wernicke export last | head`: whoever reads has had enough. Windows has no better word for it than EINVAL."""
    on_windows = os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    return on_windows or isinstance(error, BrokenPipeError)


def _any_script_on_pipes() -> None:
    """On Windows a redirected stream has the code page of the country, which can't hold Japanese everywhere."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What it can't hold all the same, such as a file name that is no text, is no reason to fail.
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("wernicke", description="Local transcription: who said what, when.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve_options(commands.add_parser("serve", help="run the daemon"))
    _add_transcribe_options(commands.add_parser("transcribe", help="transcribe audio and video files"))
    _add_listen_options(commands.add_parser("listen", help="transcribe the microphone until Ctrl-C"))
    _add_sessions_options(commands.add_parser("sessions", help="list the transcripts that the daemon has kept"))
    _add_export_options(commands.add_parser("export", help="write out one of them"))
    _add_status_options(commands.add_parser("status", help="show what the daemon is doing"))
    security.add_commands(commands)
    options = argparse.ArgumentParser(add_help=False)
    _add_config_option(options)
    _add_profile_option(options)
    models.add_commands(commands, options, _planned_settings)
    doctor.add_commands(commands, options, _profile_settings)
    return parser


def _add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="PATH", help="settings; config.toml where there is one")


def _add_profile_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        choices=["auto", "rtx3090", "small-gpu", "cpu", "embedded"],
        help="which engines and models; embedded: those that need no download, and English",
    )


def _add_serve_options(parser: argparse.ArgumentParser) -> None:
    _add_config_option(parser)
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    _add_profile_option(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check-config", action="store_true", help="show the settings in force and end")
    what.add_argument("--demo", action="store_true", help="transcribe a bundled clip, with settings of its own")
    parser.set_defaults(command=_serve)


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=DEFAULT_URL, help="the server (default: %(default)s)")
    parser.add_argument(
        "--token", default=os.environ.get("WERNICKE_TOKEN"), help="the server's token (default: $WERNICKE_TOKEN)"
    )
    parser.add_argument("--cafile", type=Path, metavar="FILE", help="a wss:// server's certificate, of `wernicke cert`")


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    _add_server_options(parser)
    parser.add_argument("--language", help="what is spoken, like ja or en, or auto (default: the server's)")


def _add_transcribe_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help=f"file ({ENDINGS}) or directory")
    parser.add_argument("--format", choices=list(FORMATS), default="txt", help="of files in an -o directory")
    parser.add_argument("--realtime", action="store_true", help="send as fast as it is spoken, not as it is taken")
    _add_session_options(parser)
    parser.set_defaults(command=_transcribe)


def _add_listen_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--live-file", type=Path, metavar="PATH", help="append the results to this file too")
    _add_session_options(parser)
    parser.set_defaults(command=_listen)


def _add_sessions_options(parser: argparse.ArgumentParser) -> None:
    _add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="for programs: begun in UTC, length in seconds")
    parser.set_defaults(command=_sessions)


def _add_export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="its id, the beginning of it, or last")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help=f"file ({ENDINGS}); without it text is shown")
    _add_config_option(parser)
    parser.set_defaults(command=_export)


def _add_status_options(parser: argparse.ArgumentParser) -> None:
    _add_server_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs: the pages /health and /stats as they are")
    parser.set_defaults(command=_status)


# --- serve -----------------------------------------------------------------------------------------


def _serve(args: argparse.Namespace) -> int:
    from wernicke_daemon.config.load import overrides

    if args.demo:
        return _demo(args)
    config = overrides(_settings(args), args.host, args.port, args.profile)
    return _show_settings(config) if args.check_config else _start(config)


def _demo(args: argparse.Namespace) -> int:
    from wernicke_daemon.demo.run import demo

    if any(option is not None for option in (args.config, args.host, args.port, args.profile)):
        complain("--demo has settings of its own; leave the other options out.")
        return Exit.USAGE
    return demo()


def _settings(args: argparse.Namespace) -> "Config":
    """Those that the daemon runs with, for all commands alike. Raises ConfigError."""
    from wernicke_daemon.config.load import load

    return load(args.config or _config_beside_script())


def _profile_settings(args: argparse.Namespace) -> "Config":
    """With the profile named, not applied yet. Raises ConfigError."""
    from wernicke_daemon.config.load import overrides

    return overrides(_settings(args), profile=args.profile)


def _planned_settings(args: argparse.Namespace) -> "Config":
    """With the profile applied, whether there is room for it now or not. Raises ConfigError."""
    from wernicke_daemon.hardware.machine import planned

    return planned(_profile_settings(args))


def _config_beside_script() -> Path | None:
    """config.toml of a checkout, from wherever run_daemon.py is started; None leaves it to `config.load`."""
    root = Path(__file__).resolve().parent.parent
    file = root / "config.toml"
    return file if file.exists() and (root / "run_daemon.py").exists() else None


def _start(wanted: "Config") -> int:
    """wanted: without its profile."""
    from wernicke_daemon.config.typed_toml import ConfigError
    from wernicke_daemon.daemon import serve
    from wernicke_daemon.hardware.machine import resolved
    from wernicke_daemon.models.presence import refuse_without

    try:
        config, choice = resolved(wanted)
        refuse_without(config)
        return serve(config, choice, announce=lambda line: print(line, flush=True))
    except WernickeError as error:
        complain(error)
        _leave_in_log(wanted, error)
        return Exit.USAGE if isinstance(error, ConfigError) else 1


def _leave_in_log(config: "Config", error: WernickeError) -> None:
    """Without a console (pythonw.exe, a service) nobody has seen the complaint."""
    import structlog
    from msgspec.structs import replace

    from wernicke_daemon.observability import logs

    with contextlib.suppress(OSError):  # it may be what the complaint is about
        listener = logs.start(replace(config.logging, console=False), config.log_path)
        log = structlog.get_logger()
        log.error("not_started", code=error.code, reason=str(error))
        listener.stop()


def _show_settings(wanted: "Config") -> int:
    """wanted: without its profile."""
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from wernicke_daemon.hardware.machine import resolved

    config, choice = resolved(wanted)
    table = Table("setting", "value")
    for name, value in _leaves(msgspec.to_builtins(config), ""):
        table.add_row(name, value)
    console = Console(markup=False, highlight=False)
    console.print("config OK")
    console.print(f"Profile {choice.profile}: {choice.why}")
    console.print(table)
    return Exit.OK


def _leaves(settings: dict[str, Any], path: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        rows += _leaves(value, f"{path}{name}.") if isinstance(value, dict) else [(f"{path}{name}", str(value))]
    return rows


# --- transcribe, sessions, export, status ----------------------------------------------------------


def _transcribe(args: argparse.Namespace) -> int:
    from wernicke_daemon.commands.transcribe import transcribe

    return transcribe(args)


def _sessions(args: argparse.Namespace) -> int:
    from wernicke_daemon.commands import transcripts

    return transcripts.sessions(_transcripts_file(args), args)


def _export(args: argparse.Namespace) -> int:
    from wernicke_daemon.commands import transcripts

    return transcripts.export(_transcripts_file(args), args)


def _status(args: argparse.Namespace) -> int:
    from wernicke_daemon.commands.status import status

    return status(args)


def _transcripts_file(args: argparse.Namespace) -> Path:
    from wernicke_daemon.records.transcripts import FILE_NAME

    return _settings(args).data_path / FILE_NAME


# --- listen ----------------------------------------------------------------------------------------


def _listen(args: argparse.Namespace) -> int:
    from wernicke_daemon.commands.listen import listen

    live_file = args.live_file.expanduser() if args.live_file else None
    return asyncio.run(listen(args.url, args.token, args.language, live_file, args.cafile))
