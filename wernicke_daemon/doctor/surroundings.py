"""What a report says of this machine besides the checks, and what of it is private: looked up, and not judged."""

import getpass
import os
import platform
import socket
from collections import deque
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from wernicke_daemon.config.schema import Config
from wernicke_daemon.doctor import facts
from wernicke_daemon.doctor.private import Private
from wernicke_daemon.models import hub

LOG_LINES = 5000
"""A day or two of a PC at home."""

_NAMES = ("USERNAME", "USER", "LOGNAME", "USERDOMAIN", "COMPUTERNAME", "HOSTNAME")
_EVERYBODYS = {"", "localhost", "workgroup", "0.0.0.0", "127.0.0.1", "::", "::1"}


def private(config: Config, base: Path) -> Private:
    """Of this user and machine. base: the folder of config.toml."""
    names = {os.environ.get(name, "") for name in _NAMES} | {_user(), Path.home().name, socket.gethostname()}
    names |= {host.partition(".")[0] for host in (socket.gethostname(), platform.node())}
    names |= {config.host, urlsplit(config.llm.host).hostname or ""}
    names |= {urlsplit(origin).hostname or "" for origin in (*config.security.origins, *config.cors_origins)}
    tokens = {os.environ.get("WERNICKE_TOKEN", ""), hub.token(), *config.security.clients}
    folders = {folder.resolve() for folder in (Path.home(), Path.cwd(), config.data_path, base)}
    return Private(
        tuple(sorted(name for name in names if name.lower() not in _EVERYBODYS)),
        tuple(sorted(str(folder) for folder in folders if len(folder.parts) > 1)),
        tuple(sorted(tokens - {""})),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # Windows has no module pwd; a container's account may have no name
        return ""


def machine() -> Iterator[tuple[str, str]]:
    """What it is called by, and what it is."""
    yield "wernicke", _version(facts.DISTRIBUTION)
    yield "Python", f"{platform.python_version()} {platform.python_implementation()}, {facts.bits()} bit"
    yield "system", f"{platform.platform()} {platform.win32_edition() or ''}"
    yield "processor", f"{platform.machine()}, {os.cpu_count()} CPUs"
    memory = psutil.virtual_memory()
    yield "memory", f"{memory.total // 2**20} MiB, {memory.available // 2**20} free"


def packages() -> Iterator[tuple[str, str]]:
    """All that may be used, those of the extra `gpu` too, with their versions."""
    for requirement in facts.requirements(gpu=True):
        yield requirement.name, _version(requirement.name)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def priority(pid: int) -> str:
    """Of a process: the system's word or number for it; "" where it can't be seen."""
    try:
        nice = psutil.Process(pid).nice()
    except psutil.Error:
        return ""
    return str(getattr(nice, "name", nice))


def log_tail(file: Path) -> list[bytes]:
    """The last LOG_LINES lines. Raises OSError."""
    with file.open("rb") as lines:
        return list(deque(lines, LOG_LINES))
