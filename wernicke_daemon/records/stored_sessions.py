"""Transcripts on disk, deleted on request."""

from pathlib import Path

from wernicke_daemon.records.stored_speakers import changing
from wernicke_daemon.records.transcript_file import NoTranscript


def delete(path: Path, session: str) -> None:
    """One session with all its results; nothing of it is left. path: of the file. Raises NoTranscript where there is no
    such session, or the file can't be written."""
    with changing(path) as database:
        database.execute("DELETE FROM result WHERE session = ?", (session,))
        if not database.execute("DELETE FROM session WHERE id = ?", (session,)).rowcount:
            raise NoTranscript(f"There is no session {session}.")
