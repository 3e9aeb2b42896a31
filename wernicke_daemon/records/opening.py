"""Opens what is kept on disk, as the settings have it."""

from pathlib import Path

import structlog

from wernicke_daemon.config.schema import Config
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.store import NoStore, ResultStore, Store

_log = structlog.get_logger()


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
