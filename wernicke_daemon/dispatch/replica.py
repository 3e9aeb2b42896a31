"""What one replica of a stage, which is up, has been sent and has not answered. Pure."""

from wernicke_daemon.dispatch.turns import JobRow


class Replica:
    """number: its own within the stage, from 0. out: by job id."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.out: dict[int, JobRow] = {}
        self._overtaken: set[int] = set()  # answered before they were heard to begin

    @property
    def idle(self) -> bool:
        return not self.out

    def has_room(self, credit: int) -> bool:
        """credit: how many may be out. Nothing joins a job that is tried again."""
        return len(self.out) < credit and not self._retries

    @property
    def _retries(self) -> bool:
        return any((row.attempts and not row.running) or row.attempts > 1 for row in self.out.values())

    def send(self, row: JobRow, now: float) -> None:
        row.sent = now
        self.out[row.job_id] = row

    def started(self, job_id: int) -> JobRow | None:
        """May be said twice of one attempt, and after its answer: the two come over different sockets."""
        if job_id in self._overtaken:
            self._overtaken.discard(job_id)
            return None
        row = self.out.get(job_id)
        if row is not None and not row.running:
            row.attempts += 1
            row.running = True
        return row

    def answered(self, job_id: int) -> JobRow | None:
        """The row that this result closes; None if nobody waits for it any more."""
        row = self.out.pop(job_id, None)
        if row is None or row.withdrawn:
            return None
        if not row.running:
            row.attempts += 1
            self._overtaken.add(job_id)
        return row

    def lost(self) -> list[JobRow]:
        """It is gone: what somebody still needs of what it had, the oldest first."""
        rows = sorted((row for row in self.out.values() if not row.withdrawn), key=lambda row: row.job_id)
        for row in rows:
            row.running = False
        return rows
