"""What is out: which jobs, in which stage's queue, for which utterance, begun how often and due when. Pure: no I/O, and
no clock; `now` is seconds of the front's monotonic clock everywhere.

The dispatcher says what an answer means for its utterance. A stage is only a name here: whether it is a process,
several of them or another machine makes no difference.
"""

import itertools

from ipc.messages import STAGES, StageName, Work
from wernicke_daemon.dispatch.entries import Entry, JobRow, Owner
from wernicke_daemon.dispatch.job_queue import JobQueue
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.service_clock import ServiceClock
from wernicke_daemon.dispatch.stage_port import REQUIRED
from wernicke_daemon.utterances.utterance import Utterance


class Ledger:
    """under_way: utterances that are not settled by session and sequence, in the order of their submission."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.under_way: dict[tuple[str, int], Entry] = {}
        self._policy = policy  # how long a job may run
        self._ids = itertools.count(1)  # of jobs
        self._queues = {stage: JobQueue(policy.credit, policy.max_attempts) for stage in STAGES}
        self._clock = ServiceClock(policy.restart_grace_s, frozenset(REQUIRED), now)  # of deadlines

    # --- utterances ---

    def begin(self, utterance: Utterance, owner: Owner, now: float) -> Entry:
        entry = Entry(utterance, owner, served_from=self.served(now))
        self.under_way[utterance.session, utterance.sequence] = entry
        return entry

    def end(self, entry: Entry) -> list[JobRow]:
        """It is settled: its open jobs are withdrawn. Gives those that a stage has and should be told of."""
        del self.under_way[entry.utterance.session, entry.utterance.sequence]
        return [row for row in list(entry.open_jobs.values()) if self.withdraw(row)]

    def behind_s(self, now: float) -> float:
        """How far results are behind: the age of the oldest utterance under way, in seconds of service."""
        oldest = next(iter(self.under_way.values()), None)
        return self.served(now) - oldest.served_from if oldest else 0.0

    # --- jobs ---

    def add(self, stage: StageName, work: Work, audio_s: float, now: float, entry: Entry | None = None) -> JobRow:
        """A new job. audio_s: seconds of audio that it is about. entry: the utterance that it is for, if any."""
        limit_s = self._policy.job_s + self._policy.job_per_audio_s * audio_s
        session = entry.utterance.session if entry else ""
        row = JobRow(next(self._ids), stage, session, work, limit_s, created=now, entry=entry)
        if entry is not None:
            entry.open_jobs[stage] = row
        self._queues[stage].add(row)
        return row

    def take(self, stage: StageName) -> list[JobRow]:
        """The rows to send to the stage now; they count as sent."""
        return self._queues[stage].take()

    def started(self, stage: StageName, job_id: int) -> None:
        self._queues[stage].started(job_id)

    def answered(self, stage: StageName, job_id: int) -> JobRow | None:
        """The row that this answer is to, to be closed or tried again; None if nobody waits for it any more."""
        return self._queues[stage].answered(job_id)

    def retry(self, row: JobRow) -> bool:
        """An answered row is to be sent again; False if that was its last attempt."""
        return self._queues[row.stage].retry(row)

    def close(self, row: JobRow) -> None:
        """A row that was answered or given up is done with."""
        if row.entry is not None:
            del row.entry.open_jobs[row.stage]

    def withdraw(self, row: JobRow) -> bool:
        """Nobody needs an open job any more. True if its stage has it and should be told."""
        self.close(row)
        return self._queues[row.stage].withdraw(row.job_id)

    def give_up(self, stage: StageName) -> list[JobRow]:
        """Nothing waits for this stage any more. Gives the rows of all its jobs, to be closed."""
        return self._queues[stage].drop_all()

    def depth(self, stage: StageName) -> int:
        """Jobs not answered yet."""
        return len(self._queues[stage])

    # --- stages come and go ---

    def stage_up(self, stage: StageName, now: float) -> list[JobRow]:
        """A fresh process is there. The one that had the stage's jobs, if any, is gone: they are to be sent again, but
        for the rows returned, which have had all their attempts and are to be closed."""
        self._clock.up(stage, now)
        return self._queues[stage].stage_died()

    def stage_down(self, stage: StageName, now: float) -> list[JobRow]:
        """Its process is gone. Gives what `stage_up` gives."""
        self._clock.down(stage, now)
        return self._queues[stage].stage_died()

    # --- deadlines ---

    def served(self, now: float) -> float:
        """Seconds of service up to now: what `due` is compared with."""
        return self._clock.read(now)

    def late(self, now: float) -> list[JobRow]:
        """Open jobs whose time is up."""
        served = self.served(now)
        rows = [row for entry in self.under_way.values() for row in entry.open_jobs.values()]
        return [row for row in rows if row.due is not None and served >= row.due]
