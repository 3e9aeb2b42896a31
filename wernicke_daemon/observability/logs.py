"""One log for all processes: JSON lines in a rotating file, and a readable console.

Written by a thread of its own, so that a slow disk never holds up audio, and on the console by another one, so that it
never holds up the file. Stages print JSON lines, which come here through `StageLines`; whatever else they print is
wrapped.
"""

import logging
import math
import queue
import sys
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import Any

import msgspec
import structlog
from structlog.typing import Processor
from websockets.exceptions import WebSocketException

from ipc import clock, files
from wernicke_daemon.config.schema import LoggingSettings
from wernicke_daemon.observability.console import ConsoleStream

_ROTATE_AGAIN_S = 10.0
"""Seconds from a failure to begin a new file to the next try: each may hold the log up for a second or two."""

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    structlog.processors.format_exc_info,
]


class _Passing(QueueHandler):
    """Hands records on as they are: listener and logger are in one process, nothing needs to be flattened."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


class _Listener(QueueListener):
    """Closes what it writes to, too."""

    def stop(self) -> None:
        super().stop()
        for handler in self.handlers:
            handler.close()


def start(settings: LoggingSettings, path: Path) -> QueueListener:
    """Log to `path` and the console from now on. The caller stops the listener last of all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [_file(settings, path)]
    if settings.console and sys.stderr is not None:  # pythonw.exe has none
        handlers.append(_console())
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    root = logging.getLogger()
    root.handlers = [_Passing(records)]
    root.setLevel(settings.level.upper())
    for chatty in ("websockets", "httpx", "wakepy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("websockets.server").addFilter(_is_of_use)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    listener = _Listener(records, *handlers)
    listener.start()
    return listener


def _is_of_use(record: logging.LogRecord) -> bool:
    """websockets before 17 logs a traceback for each client that hangs up, or is cut off, before its handshake is done.
    An error of ours in the handshake comes with the same words, and stays."""
    error = record.exc_info[1] if record.exc_info else None
    return record.msg != "opening handshake failed" or not isinstance(error, WebSocketException)


def _file(settings: LoggingSettings, path: Path) -> logging.Handler:
    limit = settings.max_mib * 1024 * 1024
    handler = _Rotating(path, maxBytes=limit, backupCount=settings.backups, encoding="utf-8")
    handler.setFormatter(_formatter(structlog.processors.JSONRenderer(ensure_ascii=False)))
    return handler


class _Rotating(RotatingFileHandler):
    """Windows renames no file that another program has open. Where that lasts it grows on: nothing is lost, and no old
    file goes before there is a new one."""

    _again_at = -math.inf  # seconds, monotonic: when it is tried again after a failure

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        return clock.monotonic() >= self._again_at and bool(super().shouldRollover(record))

    def doRollover(self) -> None:
        if self.stream is not None:
            self.stream.close()
        file = Path(self.baseFilename)
        try:
            files.patiently(lambda: file.replace(f"{file}.0")).replace(file)
            super().doRollover()
        except OSError:
            self.stream = self._open()
            self._again_at = clock.monotonic() + _ROTATE_AGAIN_S

    def rotate(self, source: str, dest: str) -> None:
        files.patiently(lambda: super(_Rotating, self).rotate(source, dest))


def _console() -> logging.Handler:
    handler = _Console(ConsoleStream(sys.stderr))
    handler.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
    return handler


class _Console(logging.StreamHandler[ConsoleStream]):
    def close(self) -> None:
        super().close()
        self.stream.close()


def _formatter(renderer: Processor) -> logging.Formatter:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=[remove, renderer])


class StageLines:
    """What stage processes and the web process print, into the log. Called on their reader threads."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("stage")

    def __call__(self, stage: str, replica: int, line: bytes) -> None:
        """Of a replica of that stage."""
        self._note(line, stage=stage, replica=replica)

    def of_web(self, line: bytes) -> None:
        self._note(line, stage="web")

    def _note(self, line: bytes, **whose: Any) -> None:
        if not line.strip():
            return
        fields = _parsed(line)
        level = str(fields.pop("level", "info"))
        fields.pop("timestamp", None)
        event = str(fields.pop("event", "stage_output"))
        number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        self._log.log(number, event, **{**whose, **fields})


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"text": line.decode(errors="replace"), "level": "warning"}
