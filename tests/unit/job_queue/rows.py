"""Rows of a job queue."""

from ipc.messages import CorrectionWork
from wernicke_daemon.dispatch.job_queue import JobRow

WORK = CorrectionWork(("text",), "en")
MAX_ATTEMPTS = 2


def row(job_id: int, session: str = "a") -> JobRow:
    return JobRow(job_id, session, WORK, limit_s=1.0, created=0.0)


def ids_of(rows: list[JobRow]) -> list[int]:
    return [each.job_id for each in rows]
