"""The web process at work: uvicorn on the addresses that the daemon listens on, until the daemon ends.

It logs as stages do: JSON lines on stderr, which come into the one log. No request is logged; an address may hold what
was searched for.
"""

import logging
import sys

import msgspec
import structlog
import uvicorn

from ipc import event_loop, parent_watch
from wernicke_daemon.web.app import create_app
from wernicke_daemon.web.connections import OpenConnections, PromptHttp, PromptWebSocket, few
from wernicke_daemon.web.front import PING_TIMEOUT_S
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.wire import listening, tls

MOST_SERVED = 220
"""Connections at a time with which a request is served; with more it is answered 503."""

MOST_CONNECTIONS = 240
"""Open at a time (`connections.py`). Each may have a line to the front beside it, and Windows' select() serves 512
sockets."""

MOST_STRANGERS = 100
"""Of those, of whom it is not known whether they may ask for anything. A browser has about six."""

LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes of a WebSocket message, as `audio.max_frame_mib` has it; the front has a limit of its own."""

CAN_NOT_LISTEN = 3
"""Exit code: somebody else has the port, or the address is not this machine's."""

_log = structlog.get_logger()


def run(record: bytes) -> None:
    """record: a `Setup` in JSON."""
    _configure_log()
    setup = msgspec.json.decode(record, type=Setup)
    parent_watch.watch_parent(setup.parent_pid, setup.parent_fd)
    connections = OpenConnections(MOST_CONNECTIONS, MOST_STRANGERS)
    try:
        sockets = few(listening.listeners(setup.host, setup.port), connections)
    except OSError as error:
        why, fix = listening.trouble(error, setup.host, setup.port)
        _log.error("web_can_not_listen", reason=f"{why}; {fix.replace('--port', 'web.port')}")
        sys.exit(CAN_NOT_LISTEN)
    server = uvicorn.Server(_config(setup, connections))
    _log.info("web_ready", port=setup.port)
    event_loop.run(server.serve([*sockets]))


def _config(setup: Setup, connections: OpenConnections) -> uvicorn.Config:
    files = setup.config.tls_files
    secure = None if files is None else lambda *_: tls.server_context(*files)
    return uvicorn.Config(
        create_app(setup, connections.let_in),
        loop="none",  # `event_loop` chooses
        http=PromptHttp,
        ws=PromptWebSocket,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_timeout=PING_TIMEOUT_S,  # pongs are read after what the front has no room for yet
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_SERVED,
        timeout_graceful_shutdown=1,
        ssl_context_factory=secure,
    )


def _configure_log() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
