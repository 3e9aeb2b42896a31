"""Opens what is kept on disk, as the settings have it, and closes it."""

import asyncio
from pathlib import Path
from typing import NamedTuple

import structlog

from wernicke_daemon.config.schema import Config
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.no_store import NoStore
from wernicke_daemon.records.store import ResultStore, Store

_log = structlog.get_logger()


class OnDisk(NamedTuple):
    """store: results. journal: the audio of those that are not final yet; None where it is not kept."""

    store: ResultStore
    journal: Journal | None

    async def close(self) -> None:
        """Side by side: the disk may be slow."""
        journal = () if self.journal is None else (asyncio.to_thread(self.journal.close),)
        await asyncio.gather(self.store.close(), *journal)


def open_on_disk(config: Config) -> OnDisk:
    """Raises WernickeError where the data directory can't be written."""
    return OnDisk(open_store(config), open_journal(config))


def open_store(config: Config) -> ResultStore:
    """Raises WernickeError where the data directory can't be written."""
    store: ResultStore = NoStore()
    if config.store.enabled:
        store = Store(config.data_path / transcript_file.FILE_NAME, config.store.retention_days)
    store.open()
    return store


def open_journal(config: Config) -> Journal | None:
    """None where it is switched off, and without a store: journalled audio is finished into the store, and would only
    be a trace of what was said."""
    directory = config.data_path / "journal"
    if config.store.enabled and config.journal.enabled:
        return Journal(directory, config.journal.max_mib)
    _tell_what_earlier_runs_left(config, directory)
    return None


def _tell_what_earlier_runs_left(config: Config, journal: Path) -> None:
    """What is switched off is not deleted with it: it may be all that there is of a meeting. Its owner is told, who may
    want to delete it."""
    left = sorted(journal.parent.glob(f"{Path(transcript_file.FILE_NAME).stem}*")) if not config.store.enabled else []
    if any(journal.glob("*/")):
        left.append(journal)
    if left:
        _log.warning("not_deleted", paths=[str(path) for path in left])
