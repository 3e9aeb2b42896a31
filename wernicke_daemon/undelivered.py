"""Results whose client is gone, kept on disk instead of being dropped."""

from pathlib import Path

import structlog

from wernicke_daemon import protocol
from wernicke_daemon.protocol import ServerMessage

_log = structlog.get_logger()


class Undelivered:
    """Appends to `undelivered.jsonl` in the data directory: one message a line, as the client would have got it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "undelivered.jsonl"

    def keep(self, session: str, message: ServerMessage) -> None:
        """A full or read-only disk is logged; serving goes on."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(protocol.encode(message) + "\n")
        except OSError as error:
            _log.error("result_lost", session=session, reason=error.strerror)
