"""The jobs of one stage from asked-for to answered. Pure: no I/O, no clock.

A row stays until its result is in: the result is the acknowledgement. When the stage dies, what was sent to it goes
back to the head of the queue. Only a job that had *started* counts an attempt; one whose stage died under it is sent
alone the next time, so that it can only take itself down, and is given up after `max_attempts`.

Firm jobs go before early ones, and those before live ones. A job that is not firm is sent to an idle stage only, so
that a firm one which comes later finds no more than one before it; it is never sent again.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

from ipc.messages import JobKind, Work

NOT_FIRM: tuple[JobKind, ...] = ("early", "live")
"""In the order in which they go."""


@dataclass
class JobRow:
    """Seconds are of the front's monotonic clock."""

    job_id: int  # unique in the run
    session: str  # whose turn it takes
    work: Work  # what the stage is to do
    limit_s: float  # how long it may run
    created: float  # when it was added, in seconds
    kind: JobKind = "firm"  # how much it matters
    sent: float = 0.0  # when it last went out, in seconds
    attempts: int = 0  # times that a stage began it
    running: bool = False  # the stage has said that it began this attempt
    withdrawn: bool = False  # nobody needs it any more, but it is out


class _Turns:
    """Rows that wait, in the order of their age within a session; sessions take turns."""

    def __init__(self) -> None:
        self._by_session: OrderedDict[str, deque[JobRow]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._by_session.values()))

    def add(self, row: JobRow) -> None:
        self._by_session.setdefault(row.session, deque()).append(row)

    def next(self) -> JobRow | None:
        if not self._by_session:
            return None
        session, rows = self._by_session.popitem(last=False)
        row = rows.popleft()
        if rows:
            self._by_session[session] = rows
        return row

    def find(self, job_id: int) -> JobRow | None:
        return next((row for rows in self._by_session.values() for row in rows if row.job_id == job_id), None)

    def remove(self, row: JobRow) -> None:
        rows = self._by_session[row.session]
        rows.remove(row)
        if not rows:
            del self._by_session[row.session]

    def clear(self) -> list[JobRow]:
        """All of them; none waits any more."""
        rows = [row for rows in self._by_session.values() for row in rows]
        self._by_session.clear()
        return rows


class JobQueue:
    """The jobs of one stage that are not answered yet."""

    def __init__(self, credit: int, max_attempts: int) -> None:
        self._credit = credit  # how many are out at a time
        self._max_attempts = max_attempts  # after which a job is given up
        self._waiting: dict[JobKind, _Turns] = {kind: _Turns() for kind in ("firm", *NOT_FIRM)}  # not sent yet, by kind
        self._again: deque[JobRow] = deque()  # firm rows whose stage died or failed, to be sent before all others
        self._out: dict[int, JobRow] = {}  # sent and not answered, by job id
        self._overtaken: set[int] = set()  # answered before they were heard to begin

    def __len__(self) -> int:
        """Jobs not answered yet."""
        return len(self._again) + len(self._out) + sum(map(len, self._waiting.values()))

    @property
    def firm_waits(self) -> bool:
        """A firm job has not been sent."""
        return bool(self._again or self._waiting["firm"])

    def add(self, row: JobRow) -> None:
        self._waiting[row.kind].add(row)

    def take(self, now: float) -> list[JobRow]:
        """The rows to send now; they count as sent."""
        rows: list[JobRow] = []
        while len(self._out) < self._credit and not self._retrying():
            row = self._next_firm(alone_possible=not self._out)
            if row is None:
                break
            rows.append(self._send(row, now))
        if not self._out and (row := self._next_not_firm()) is not None:
            rows.append(self._send(row, now))
        return rows

    def _send(self, row: JobRow, now: float) -> JobRow:
        row.sent = now
        self._out[row.job_id] = row
        return row

    def _retrying(self) -> bool:
        return any((row.attempts and not row.running) or row.attempts > 1 for row in self._out.values())

    def _next_firm(self, alone_possible: bool) -> JobRow | None:
        if self._again:
            return self._again.popleft() if alone_possible or not self._again[0].attempts else None
        return self._waiting["firm"].next()

    def _next_not_firm(self) -> JobRow | None:
        return next((row for kind in NOT_FIRM if (row := self._waiting[kind].next()) is not None), None)

    def _find_waiting(self, job_id: int) -> JobRow | None:
        return next((row for turns in self._waiting.values() if (row := turns.find(job_id)) is not None), None)

    def make_firm(self, job_id: int) -> None:
        """It matters now: it takes its turn among firm jobs, and is done again if its stage dies."""
        row = self._out.get(job_id) or self._find_waiting(job_id)
        if row is None or row.kind == "firm":
            return
        if job_id not in self._out:
            self._waiting[row.kind].remove(row)
            self._waiting["firm"].add(row)
        row.kind = "firm"

    def replace(self, job_id: int, work: Work, limit_s: float) -> bool:
        """What a job that still waits is to do instead. False if it has been sent."""
        row = self._find_waiting(job_id)
        if row is not None:
            row.work, row.limit_s = work, limit_s
        return row is not None

    def sent_work(self, job_id: int) -> Work | None:
        """What a job that is out does, whether anybody needs it or not."""
        row = self._out.get(job_id)
        return row.work if row else None

    def started(self, job_id: int) -> JobRow | None:
        """May be said twice of one attempt, and after its answer: the two come over different sockets."""
        if job_id in self._overtaken:
            self._overtaken.discard(job_id)
            return None
        row = self._out.get(job_id)
        if row is not None and not row.running:
            row.attempts += 1
            row.running = True
        return row

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
        if row.kind != "firm" or row.attempts >= self._max_attempts:
            return False
        row.running = False
        self._again.appendleft(row)
        return True

    def withdraw(self, job_id: int) -> bool:
        """Nobody needs it any more. True if it is out (the stage should be told)."""
        if job_id in self._out:
            self._out[job_id].withdrawn = True
            return True
        if (row := self._find_waiting(job_id)) is not None:
            self._waiting[row.kind].remove(row)
        else:
            self._again = deque(row for row in self._again if row.job_id != job_id)
        return False

    def stage_died(self) -> list[JobRow]:
        """Everything sent is to be sent again, but for the rows returned: those are given up. So is all that is not
        firm, which costs no firm job an attempt."""
        lost = sorted((row for row in self._out.values() if not row.withdrawn), key=lambda row: row.job_id)
        self._out.clear()
        self._overtaken.clear()
        given_up = [row for row in lost if row.kind != "firm" or row.attempts >= self._max_attempts]
        for row in lost:
            row.running = False
        self._again.extendleft(row for row in reversed(lost) if row not in given_up)
        return given_up

    def drop_all(self) -> list[JobRow]:
        """Give up every job: the stage is not coming back."""
        out = [row for row in self._out.values() if not row.withdrawn]
        rows = [*out, *self._again, *(row for turns in self._waiting.values() for row in turns.clear())]
        self._out.clear()
        self._again.clear()
        return rows
