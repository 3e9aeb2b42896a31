"""`wernicke serve`, and `run_daemon.py`: the daemon until Ctrl-C, its settings shown, or the demo."""

import argparse
import asyncio
import contextlib
import math
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ipc import event_loop
from ipc.errors import WernickeError
from wernicke_daemon import not_started
from wernicke_daemon.client import Exit
from wernicke_daemon.commands import options
from wernicke_daemon.commands.closing_console import stopped_with_console
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.outputs import complain
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.stop_requests import Stopped, StopRequests

if TYPE_CHECKING:
    from wernicke_daemon.sessions.registry import Drained

BEYOND_DRAIN_S = 2.0
"""Seconds that a stop takes beyond `runtime.drain_timeout_s` (docs/reliability.md)."""

NOT_STARTED = 1
"""The exit code where the daemon can't start; `Exit.USAGE` where it is the settings."""


def add_commands(commands: Subparsers) -> None:
    add_options(commands.add_parser("serve", help="run the daemon"))


def add_options(parser: argparse.ArgumentParser) -> None:
    options.add_config(parser)
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    options.add_profile(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check-config", action="store_true", help="show the settings in force and end")
    what.add_argument("--demo", action="store_true", help="transcribe a bundled clip, with settings of its own")
    parser.add_argument("--ray", metavar="ADDRESS", help="with --demo: by actors of the Ray cluster there")
    parser.set_defaults(command=_serve)


def _serve(args: argparse.Namespace) -> int:
    if args.demo:
        return _demo(args)
    if args.ray is not None:
        complain("--ray goes with --demo; for the daemon, fill in [ray] and [ray.stages] in config.toml.")
        return Exit.USAGE
    if args.check_config:
        return _show_settings(_wanted(args))
    wanted = None
    try:
        wanted = _wanted(args)
        return _start(wanted)
    except Exception as error:
        not_started.leave(error, None if wanted is None else wanted.log_path, options.base(args))
        if not isinstance(error, WernickeError):
            raise
        complain(error)
        return Exit.USAGE if isinstance(error, ConfigError) else NOT_STARTED


def _wanted(args: argparse.Namespace) -> Config:
    """Without its profile. Raises ConfigError."""
    return overrides(options.settings(args), args.host, args.port, args.profile)


def _demo(args: argparse.Namespace) -> int:
    from wernicke_daemon.demo.run import demo

    if any(option is not None for option in (args.config, args.host, args.port, args.profile)):
        complain("--demo has settings of its own; leave the other options out.")
        return Exit.USAGE
    return demo(args.ray)


# --- the daemon ------------------------------------------------------------------------------------


def _start(wanted: Config) -> int:
    """wanted: without its profile. Raises WernickeError where it can't start."""
    from wernicke_daemon.hardware.machine import resolved
    from wernicke_daemon.models import presence

    config, choice = resolved(wanted)
    presence.put_together(config)
    presence.refuse_without(config)
    with _announcing() as announce:
        run_until_signal(config, choice, announce=announce)
    return Exit.OK


@contextlib.contextmanager
def _announcing() -> Iterator[Callable[[str], None]]:
    """Says lines on stdout, where there is one, and waits for nobody who does not take them."""
    from wernicke_daemon.observability.console import ConsoleStream

    if sys.stdout is None:  # pythonw.exe has none
        yield lambda line: None
        return
    with ConsoleStream(sys.stdout) as stdout:
        yield lambda line: print(line, file=stdout)


def run_until_signal(config: Config, choice: ProfileChoice, *, announce: Callable[[str], None]) -> None:
    """The daemon, until Ctrl-C or a signal to end. choice: how config's profile was chosen. announce: told one line at
    a time what it does. Raises WernickeError where it can't start."""
    event_loop.run(_run_until_asked(config, choice, announce))


async def _run_until_asked(config: Config, choice: ProfileChoice, announce: Callable[[str], None]) -> None:
    """By a signal, `wernicke stop`, or a console that is being closed."""
    announce(f"Profile {choice.profile}: {choice.why}")
    if config.diarization.engine == "spectral":
        announce('diarization.engine = "spectral" is no more, "onnx" is taken for it: write that')
    stop = Stop()
    _stop_on_signals(stop.ask)
    longest_s = config.runtime.drain_timeout_s + BEYOND_DRAIN_S
    with stopped_with_console(stop.hurry):
        async with StopRequests(config.data_path, longest_s, stop.ask) as requests:
            drained = await _run_until(stop, config, choice, announce)
            requests.tell(Stopped(drained.sessions, drained.unfinished, config.journal.enabled))


class Stop:
    """That the daemon is to end. Asked for on any thread. Made on the event loop's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self.drain_timeout_s = math.inf  # what is under way may have at most so long

    def ask(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._asked.set)

    def hurry(self, drain_timeout_s: float) -> None:
        """There is little time."""
        self.drain_timeout_s = drain_timeout_s
        self.ask()

    async def wait(self) -> None:
        await self._asked.wait()


async def _run_until(stop: Stop, config: Config, choice: ProfileChoice, announce: Callable[[str], None]) -> "Drained":
    """Returns what became of the sessions."""
    from wernicke_daemon.daemon import running
    from wernicke_daemon.sessions.registry import NONE_OPEN

    stopped = asyncio.create_task(stop.wait())
    async with contextlib.AsyncExitStack() as stack:
        starting = asyncio.create_task(stack.enter_async_context(running(config, announce, choice=choice, pages=True)))
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():  # models may take minutes to load: nobody waits for that to stop
            starting.cancel()
            await asyncio.wait({starting})
            return NONE_OPEN
        daemon = starting.result()
        _announce_ready(config, daemon.port, announce)
        _announce_pages(config, daemon.web.port, announce)
        await stopped
        announce("Stopping: sending what is under way...")
        daemon.drain_timeout_s = min(daemon.drain_timeout_s, stop.drain_timeout_s)
    return daemon.drained or NONE_OPEN


def _announce_ready(config: Config, port: int, announce: Callable[[str], None]) -> None:
    from wernicke_daemon.gateway.http_request import SESSIONS
    from wernicke_daemon.wire.listening import reachable, url_host

    if config.runtime.profile == "embedded":
        announce("The embedded engines are in use: English only.")
    scheme = "wss" if config.tls_files else "ws"
    host = reachable(config.host)
    also = "" if host == config.host else " and at this machine's other addresses"
    announce(f"Ready: {scheme}://{url_host(host)}:{port}{SESSIONS}{also} (Ctrl-C ends it)")


def _announce_pages(config: Config, port: int | None, announce: Callable[[str], None]) -> None:
    """port: None where there are none."""
    from wernicke_daemon.wire.listening import reachable, url_host

    if port is not None:
        scheme = "https" if config.tls_files else "http"
        announce(f"Pages: {scheme}://{url_host(reachable(config.web.host or config.host))}:{port}/")


def _stop_on_signals(ask: Callable[[], None]) -> None:
    """`loop.add_signal_handler` does not exist on Windows; `signal.signal` does everywhere."""
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    for number in [getattr(signal, name) for name in names if hasattr(signal, name)]:
        signal.signal(number, lambda *_: ask())


# --- --check-config --------------------------------------------------------------------------------


def _show_settings(wanted: Config) -> int:
    """wanted: without its profile."""
    from rich.console import Console
    from rich.table import Table

    from wernicke_daemon.config.listing import listed
    from wernicke_daemon.hardware.machine import resolved

    config, choice = resolved(wanted)
    table = Table("setting", "value")
    for name, value in listed(config):
        table.add_row(name, str(value))
    console = Console(markup=False, highlight=False)
    console.print("config OK")
    console.print(f"Profile {choice.profile}: {choice.why}")
    console.print(table)
    return Exit.OK
