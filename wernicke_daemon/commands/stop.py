"""`wernicke stop`: ends the daemon of this machine that uses the data directory, as Ctrl-C in its console would."""

import argparse
import socket
import time
from typing import TypeVar

import msgspec
import psutil

from ipc import clock
from wernicke_daemon import stop_requests
from wernicke_daemon.client.connecting import ClientError, Exit
from wernicke_daemon.commands import options
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.config.schema import Config
from wernicke_daemon.stop_requests import Running, Stopped, Stopping

_ANSWER_S = 10.0
"""Seconds for the daemon to say that it stops."""

_BEYOND_S = 10.0
"""Seconds on top of what it says that it needs, for a disk that is slow and for its process to end."""

T = TypeVar("T")


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("stop", help="end the daemon of this machine, wherever it was started")
    options.add_config(parser)
    parser.set_defaults(command=_stop)


def _stop(args: argparse.Namespace) -> int:
    """Raises ClientError and ConfigError."""
    config = options.settings(args)
    there = _running(config)
    process = _process(there, config)
    with _asked(there, config) as line:
        stopping = _answer(line, Stopping, _ANSWER_S)
        print(f"Stopping: sending what is under way (up to {stopping.wait_s:.0f} s)...", flush=True)
        stopped = _answer(line, Stopped, stopping.wait_s + _BEYOND_S)
    _wait_for_end(process)
    print(_said(stopped))
    return Exit.LOST if stopped.unfinished else Exit.OK


def _running(config: Config) -> Running:
    """Raises ClientError."""
    try:
        there = stop_requests.running(config.data_path)
    except OSError as error:
        sentence = f"{config.data_path} can't be read ({error.strerror}); run this as the user that runs the daemon."
        raise ClientError(sentence, Exit.REFUSED) from None
    if there is None:
        raise _nobody(config)
    return there


def _nobody(config: Config) -> ClientError:
    sentence = f"No daemon runs with the data directory {config.data_path}; other settings are named with --config."
    return ClientError(sentence, Exit.UNREACHABLE)


def _process(there: Running, config: Config) -> psutil.Process:
    """Raises ClientError."""
    try:
        return psutil.Process(there.pid)
    except psutil.NoSuchProcess:
        raise _nobody(config) from None


def _asked(there: Running, config: Config) -> socket.socket:
    """Raises ClientError."""
    try:
        line = socket.create_connection(("127.0.0.1", there.port), _ANSWER_S)
        line.sendall(there.secret.encode() + b"\n")
        return line
    except OSError:  # it was killed, and its number is another process's now
        raise _nobody(config) from None


def _answer(line: socket.socket, kind: type[T], within_s: float) -> T:
    """Raises ClientError."""
    line.settimeout(within_s)
    said = b""
    try:
        while not said.endswith(b"\n") and (byte := line.recv(1)):
            said += byte
        return msgspec.json.decode(said, type=kind)
    except (OSError, msgspec.DecodeError):
        sentence = f"The daemon has not stopped within {within_s:.0f} s; see its log, or end its process."
        raise ClientError(sentence, Exit.STUCK) from None


def _wait_for_end(process: psutil.Process) -> None:
    """Raises ClientError."""
    until = clock.monotonic() + _BEYOND_S
    while not _has_ended(process):
        if clock.monotonic() >= until:
            sentence = f"The daemon has stopped, but its process {process.pid} has not ended; end it yourself."
            raise ClientError(sentence, Exit.STUCK)
        time.sleep(0.05)


def _has_ended(process: psutil.Process) -> bool:
    """Also where its parent has not heard of it yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _said(stopped: Stopped) -> str:
    if not stopped.sessions:
        return "Stopped; no session was open."
    sessions = "1 open session" if stopped.sessions == 1 else f"{stopped.sessions} open sessions"
    if not stopped.unfinished:
        return f"Stopped; all results of {sessions} are there."
    rest = f"results are missing of {stopped.unfinished} of {sessions}"
    if stopped.journalled:
        return f"Stopped; {rest}, which the next start makes from the journal."
    return f"Stopped; {rest}, and without a journal they are lost."
