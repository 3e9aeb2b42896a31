"""The web process as the daemon starts it: what it is told, and when it is started again."""

import os
import secrets
import socket
from collections.abc import Callable

import msgspec
import structlog
from msgspec.structs import replace

from ipc.files import NewFile, patiently, replace_all
from wernicke_daemon.config.schema import Config
from wernicke_daemon.processes import process_tree
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.web_process import WebProcess
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.wire import tokens
from wernicke_daemon.wire.listening import reachable, url_host

_log = structlog.get_logger()

SECRET_FILE = "login.key"
"""In the data directory. Whoever has it can log in, and may read the transcripts beside it anyway."""

SECRET_BYTES = 32


class WebLaunch:
    """One for a run of the daemon. port: of the pages; None where there are none."""

    def __init__(self, config: Config, wanted: bool) -> None:
        """wanted: whether there are to be pages, if config says so."""
        self._wanted = wanted and config.web.enabled
        self._config = config
        self._token = tokens.new_token()  # of the web process, for the front
        self._host = config.web.host or config.host
        self._process: WebProcess | None = None  # from `start` on
        self.port: int | None = None  # from `start` on

    def letting_in(self) -> Config:
        """The settings for the front, which lets the web process in like any client with a token."""
        security = self._config.security
        if not security.clients:
            return self._config
        clients = (*security.clients, tokens.hash_of(self._token))
        return replace(self._config, security=replace(security, clients=clients))

    def start(self, front_port: int, on_line: Callable[[bytes], None]) -> None:
        """front_port: the bound one. on_line: told what it prints. Nothing where no pages are wanted. From the main
        thread."""
        if not self._wanted:
            return
        self.port = self._config.web.port or free_port(self._host)
        record = msgspec.json.encode(self._setup(front_port, self.port))
        self._process = WebProcess(record, RestartPolicy.of(self._config.runtime), on_line)
        self._process.start()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()

    def _setup(self, front_port: int, port: int) -> Setup:
        scheme = "https" if self._config.tls_files else "http"
        return Setup(
            self._config,
            front=f"{scheme}://{url_host(reachable(self._config.host))}:{front_port}",
            host=self._host,
            port=port,
            token=self._token if self._config.security.clients else "",
            secret=_secret(self._config) if self._config.security.clients else "",
            parent_pid=os.getpid(),
            parent_fd=process_tree.parent_pipe(),
        )


def _secret(config: Config) -> str:
    """See `Setup.secret`. Kept, so that a restart logs nobody out; where it can't be, it is one for this run."""
    file, new = config.data_path / SECRET_FILE, secrets.token_hex(SECRET_BYTES)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = patiently(file.read_bytes) if file.exists() else b""
        if len(kept) == len(new) and kept.isalnum():
            return kept.decode()
        replace_all([NewFile(file, new.encode(), mode=0o600)])
    except OSError as error:
        _log.warning("logins_not_kept", reason=str(error))
    return new


def free_port(host: str) -> int:
    """One that nobody listens on now: every process of the web is to have the same."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
