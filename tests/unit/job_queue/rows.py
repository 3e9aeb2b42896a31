"""Rows of a job queue, and queues of one replica."""

from ipc.messages import CorrectionWork
from wernicke_daemon.dispatch.job_queue import JobQueue
from wernicke_daemon.dispatch.turns import JobRow

WORK = CorrectionWork(("text",), "en")
MAX_ATTEMPTS = 2


def row(job_id: int, session: str = "a") -> JobRow:
    return JobRow(job_id, session, WORK, limit_s=1.0, created=0.0)


def ids_of(rows: list[JobRow]) -> list[int]:
    return [each.job_id for each in rows]


def with_one_replica(credit: int, max_attempts: int) -> JobQueue:
    queue = JobQueue(credit, max_attempts)
    queue.replica_up(0)
    return queue


def taken(queue: JobQueue, now: float = 0.0) -> list[JobRow]:
    """All that goes to that replica now."""
    given = queue.take(now)
    assert all(number == 0 for number, _ in given)
    return [each for _, each in given]


def died(queue: JobQueue) -> list[JobRow]:
    """What is given up with it; it is back at once."""
    given_up = queue.replica_gone(0)
    queue.replica_up(0)
    return given_up
