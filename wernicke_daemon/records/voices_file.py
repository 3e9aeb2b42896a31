"""The voiceprints that are kept: of people whom somebody enrolled, or named while `voices.remember` is true (SQLite).

A voiceprint is personal data. What is deleted is overwritten in the file, and the write-ahead log, which may still hold
it, is emptied. The daemon and `wernicke voices` use the file side by side; it exists once there is something in it.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from ipc.errors import WernickeError
from wernicke_daemon.utterances.voiceprints import Voiceprint

_log = structlog.get_logger()

FILE_NAME = "voiceprints.db"
"""In the data directory."""

LOCK_WAIT_S = 5.0
"""For another program that uses the file."""

Origin = Literal["enrolled", "remembered"]

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS voice (
        name TEXT NOT NULL, model TEXT NOT NULL, mean BLOB NOT NULL, seconds REAL NOT NULL,
        origin TEXT NOT NULL, kept REAL NOT NULL, PRIMARY KEY (name, model)
    );
"""


class VoicesUnusable(WernickeError):
    """The file can't be read or written."""


class NoVoice(WernickeError):
    """There is none of that name."""


class KeptVoice(msgspec.Struct, frozen=True):
    """As it is listed."""

    name: str
    model: str  # whose embeddings it is of
    seconds: float  # of speech that it is of
    origin: Origin
    kept: float  # when it was kept last, seconds since 1970


class VoicesFile:
    """Each call opens it anew: calls are rare, and nothing of it stays in memory or in open files."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prints(self) -> list[Voiceprint]:
        """All. Raises VoicesUnusable."""
        with self._reading() as database:
            rows = database.execute("SELECT name, model, mean, seconds FROM voice").fetchall() if database else []
        return [Voiceprint(*row) for row in rows]

    def listed(self) -> list[KeptVoice]:
        """By name. Raises VoicesUnusable."""
        order = "SELECT name, model, seconds, origin, kept FROM voice ORDER BY name, model"
        with self._reading() as database:
            rows = database.execute(order).fetchall() if database else []
        return [KeptVoice(*row) for row in rows]

    def enrol(self, voice: Voiceprint, now: float) -> None:
        """In place of the one of that name and model. now: seconds since 1970. Raises VoicesUnusable."""
        with self._writing() as database:
            database.execute(
                "REPLACE INTO voice (name, model, mean, seconds, origin, kept) VALUES (?, ?, ?, ?, ?, ?)",
                (voice.name, voice.model, voice.mean, voice.seconds, "enrolled", now),
            )

    def begin(self, voice: Voiceprint, now: float) -> bool:
        """Remember somebody from now on; nothing where that voice is kept already. Returns whether it was not. Raises
        VoicesUnusable."""
        with self._writing() as database:
            inserted = database.execute(
                "INSERT OR IGNORE INTO voice (name, model, mean, seconds, origin, kept) VALUES (?, ?, ?, ?, ?, ?)",
                (voice.name, voice.model, voice.mean, voice.seconds, "remembered", now),
            )
            return inserted.rowcount > 0

    def follow(self, heard: Voiceprint, now: float) -> None:
        """More speech of somebody; nothing where that voice has been deleted. Raises VoicesUnusable."""
        if not self._path.exists():
            return
        with self._writing() as database:
            row = database.execute(
                "SELECT name, model, mean, seconds FROM voice WHERE name = ? AND model = ?", (heard.name, heard.model)
            ).fetchone()
            if row is not None and len(row[2]) == len(heard.mean):
                more = Voiceprint(*row).heard(heard.vector, heard.seconds)
                database.execute(
                    "UPDATE voice SET mean = ?, seconds = ?, kept = ? WHERE name = ? AND model = ?",
                    (more.mean, more.seconds, now, heard.name, heard.model),
                )

    def delete(self, name: str) -> int:
        """Of all models. Returns how many there were. Raises NoVoice, VoicesUnusable."""
        if not self._path.exists():
            raise NoVoice(f"There is no voice {name!r}; `wernicke voices` lists them.")
        with self._writing() as database:
            deleted = database.execute("DELETE FROM voice WHERE name = ?", (name,)).rowcount
        if not deleted:
            raise NoVoice(f"There is no voice {name!r}; `wernicke voices` lists them.")
        return deleted

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is no file."""
        if not self._path.exists():
            yield None
            return
        with self._told(), contextlib.closing(self._connected()) as database:
            yield database

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Nothing of what it replaced is left then, if nobody is just reading it."""
        with self._told():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)  # voiceprints are for their owner alone
            with contextlib.closing(self._connected()) as database:
                database.execute("BEGIN IMMEDIATE")
                with database:
                    yield database
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connected(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=LOCK_WAIT_S, isolation_level=None)
        try:
            database.executescript("PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON;" + _SCHEMA)
        except sqlite3.Error:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise VoicesUnusable(f"The kept voices in {self._path} can't be used ({error}).") from None
