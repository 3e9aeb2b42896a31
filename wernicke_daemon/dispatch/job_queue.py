"""The jobs of one stage from asked-for to answered. Pure: no I/O, no clock.

A row stays until its result is in: the result is the acknowledgement. When the stage dies, what was sent to it goes
back to the head of the queue. Only a job that had *started* counts an attempt; one whose stage died under it is sent
alone the next time, so that it can only take itself down, and is given up after `max_attempts`.
"""

from collections import OrderedDict, deque

from wernicke_daemon.dispatch.entries import JobRow


class JobQueue:
    """Jobs wait in the order of their age within a session, sessions take turns; `credit` are out at a time."""

    def __init__(self, credit: int, max_attempts: int) -> None:
        self._credit = credit  # how many may be out
        self._max_attempts = max_attempts  # how often a job may be begun
        self._waiting: OrderedDict[str, deque[JobRow]] = OrderedDict()  # not sent yet, by session; whose turn is first
        self._again: deque[JobRow] = deque()  # to be sent again, before those
        self._out: dict[int, JobRow] = {}  # sent and not answered
        self._overtaken: set[int] = set()  # answered before they were said to have started

    def __len__(self) -> int:
        """Jobs not answered yet."""
        return len(self._again) + len(self._out) + sum(map(len, self._waiting.values()))

    def add(self, row: JobRow) -> None:
        self._waiting.setdefault(row.session, deque()).append(row)

    def take(self) -> list[JobRow]:
        """The rows to send now; they count as sent."""
        rows: list[JobRow] = []
        while len(self._out) < self._credit and not self._retrying():
            row = self._next(alone_possible=not self._out)
            if row is None:
                break
            self._out[row.job_id] = row
            rows.append(row)
        return rows

    def _retrying(self) -> bool:
        return any((row.attempts and not row.running) or row.attempts > 1 for row in self._out.values())

    def _next(self, alone_possible: bool) -> JobRow | None:
        if self._again:
            return self._again.popleft() if alone_possible or not self._again[0].attempts else None
        if not self._waiting:
            return None
        session, rows = self._waiting.popitem(last=False)
        row = rows.popleft()
        if rows:
            self._waiting[session] = rows
        return row

    def started(self, job_id: int) -> None:
        """May be said twice of one attempt, and after its answer: the two come over different sockets."""
        row = self._out.get(job_id)
        if job_id in self._overtaken:
            self._overtaken.discard(job_id)
        elif row is not None and not row.running:
            row.attempts += 1
            row.running = True

    def answered(self, job_id: int) -> JobRow | None:
        """The row that this result closes; None if nobody waits for it any more."""
        row = self._out.pop(job_id, None)
        if row is None or row.withdrawn:
            return None
        if not row.running:
            row.attempts += 1
            self._overtaken.add(job_id)
        return row

    def retry(self, row: JobRow) -> bool:
        """An answered row that went wrong is to be sent again, alone; False if that was its last attempt."""
        if row.attempts >= self._max_attempts:
            return False
        row.running = False
        self._again.appendleft(row)
        return True

    def withdraw(self, job_id: int) -> bool:
        """Nobody needs it any more. True if it is out (the stage should be told)."""
        if job_id in self._out:
            self._out[job_id].withdrawn = True
            return True
        for rows in (self._again, *self._waiting.values()):
            for row in rows:
                if row.job_id == job_id:
                    rows.remove(row)
                    self._waiting = OrderedDict((s, r) for s, r in self._waiting.items() if r)
                    return False
        return False

    def stage_died(self) -> list[JobRow]:
        """Everything sent is to be sent again, but for the rows returned: those are given up."""
        lost = sorted((row for row in self._out.values() if not row.withdrawn), key=lambda row: row.job_id)
        self._out.clear()
        self._overtaken.clear()
        poison = [row for row in lost if row.attempts >= self._max_attempts]
        for row in lost:
            row.running = False
        self._again.extendleft(row for row in reversed(lost) if row not in poison)
        return poison

    def drop_all(self) -> list[JobRow]:
        """Give up every job: the stage is not coming back."""
        out = [row for row in self._out.values() if not row.withdrawn]
        rows = [*out, *self._again, *(row for rows in self._waiting.values() for row in rows)]
        self._out.clear()
        self._again.clear()
        self._waiting.clear()
        return rows
