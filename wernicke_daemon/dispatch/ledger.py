"""What is out: every job with its stage, its turn, its attempts, what it is for, and until when it is waited for.

Pure: times are passed in. The dispatcher says what to add, and what an answer means.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from ipc.messages import STAGES, JobKind, StageName, Work
from wernicke_daemon.dispatch.job_queue import JobQueue
from wernicke_daemon.dispatch.turns import JobRow

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Entry(Generic[Subject]):
    """A job that is not answered. subject: what it is for."""

    stage: StageName
    row: JobRow
    subject: Subject


class Ledger(Generic[Subject]):
    """The queues of all stages. credit, max_attempts: see JobQueue."""

    def __init__(self, credit: int, max_attempts: int) -> None:
        self._ids = count(1)
        self._queues = {stage: JobQueue(credit, max_attempts) for stage in STAGES}
        self._entries: dict[int, Entry[Subject]] = {}  # by job id, as long as somebody waits for the answer
        self._due: dict[int, float] = {}  # seconds of the service clock until which that is, where it has an end

    def depth(self, stage: StageName) -> int:
        """Jobs not answered yet."""
        return len(self._queues[stage])

    def firm_waits(self, stage: StageName) -> bool:
        return self._queues[stage].firm_waits

    def add(
        self, stage: StageName, session: str, work: Work, limit_s: float, kind: JobKind, subject: Subject, now: float
    ) -> int:
        """Its job id."""
        row = JobRow(next(self._ids), session, work, limit_s, created=now, kind=kind)
        self._entries[row.job_id] = Entry(stage, row, subject)
        self._queues[stage].add(row)
        return row.job_id

    def replica_up(self, stage: StageName, replica: int) -> None:
        """It takes jobs from now on, and has none."""
        self._queues[stage].replica_up(replica)

    def take(self, stage: StageName, now: float) -> list[tuple[int, JobRow]]:
        """What is to be sent to the stage now, each with its replica."""
        return self._queues[stage].take(now)

    def sent_work(self, stage: StageName, replica: int, job_id: int) -> Work | None:
        """What a job that the replica has does, whether anybody needs it or not."""
        return self._queues[stage].sent_work(replica, job_id)

    def entry(self, job_id: int) -> Entry[Subject] | None:
        """None where nobody waits for it."""
        return self._entries.get(job_id)

    def make_firm(self, job_id: int) -> None:
        self._queues[self._entries[job_id].stage].make_firm(job_id)

    def replace(self, job_id: int, work: Work, limit_s: float) -> bool:
        """False if it has been sent, or is none any more."""
        entry = self._entries.get(job_id)
        return entry is not None and self._queues[entry.stage].replace(job_id, work, limit_s)

    def wait_until(self, job_id: int, due: float) -> None:
        """Nobody waits for it longer than that, in seconds of the service clock."""
        self._due[job_id] = due

    def overdue(self, served: float) -> Iterator[Entry[Subject]]:
        """Each that is waited for no longer; `withdraw` it."""
        for job_id in [job_id for job_id, due in self._due.items() if served >= due]:
            if job_id in self._due:  # what was done about the one before may have ended this, too
                yield self._entries[job_id]

    def started(self, stage: StageName, replica: int, job_id: int) -> None:
        self._queues[stage].started(replica, job_id)

    def answered(self, stage: StageName, replica: int, job_id: int) -> Entry[Subject] | None:
        """What this answer is to; None where nobody waits for it. `close` or `retry` it."""
        row = self._queues[stage].answered(replica, job_id)
        return None if row is None else self._entries[job_id]

    def retry(self, entry: Entry[Subject]) -> bool:
        """An answered one is to be done again; False if that was its last attempt."""
        return self._queues[entry.stage].retry(entry.row)

    def close(self, entry: Entry[Subject]) -> None:
        """It has its answer, or will have none."""
        self._entries.pop(entry.row.job_id, None)
        self._due.pop(entry.row.job_id, None)

    def withdraw(self, job_id: int) -> tuple[StageName, int] | None:
        """Nobody needs it any more. The stage and its replica, if that has it and should be told."""
        entry = self._entries.pop(job_id, None)
        self._due.pop(job_id, None)
        replica = None if entry is None else self._queues[entry.stage].withdraw(job_id)
        return None if entry is None or replica is None else (entry.stage, replica)

    def replica_gone(self, stage: StageName, replica: int) -> Iterator[Entry[Subject]]:
        """Those that are given up with it; `close` them. All others that it had are done again."""
        return self._open(self._queues[stage].replica_gone(replica))

    def give_up(self, stage: StageName) -> Iterator[Entry[Subject]]:
        """All of a stage that is not coming back; `close` them."""
        return self._open(self._queues[stage].drop_all())

    def _open(self, rows: list[JobRow]) -> Iterator[Entry[Subject]]:
        """But for those that were withdrawn meanwhile, as of an utterance that another of them has ended."""
        for row in rows:
            if (entry := self._entries.get(row.job_id)) is not None:
                yield entry
