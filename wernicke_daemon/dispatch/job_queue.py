"""The jobs of one stage from asked-for to answered. Pure: no I/O, no clock.

A row stays until its result is in: the result is the acknowledgement. When a replica of the stage dies, what was sent
to it goes back to the head of the queue, for whichever is free. Only a job that had *started* counts an attempt; one
whose replica died under it is sent alone the next time, so that it can only take that one down, and is given up after
`max_attempts`.

A job goes to the replica that has the fewest, of equals to the first. Firm jobs go before early ones, and those before
live ones. A job that is not firm is sent to an idle replica only, so that a firm one which comes later finds no more
than one before it; it is never sent again.
"""

from collections import deque

from ipc.messages import JobKind, Work
from wernicke_daemon.dispatch.replica import Replica
from wernicke_daemon.dispatch.turns import JobRow, Turns

NOT_FIRM: tuple[JobKind, ...] = ("early", "live")
"""In the order in which they go."""


class JobQueue:
    """The jobs of one stage that are not answered yet."""

    def __init__(self, credit: int, max_attempts: int) -> None:
        self._credit = credit  # how many are out at a time at each replica
        self._max_attempts = max_attempts  # after which a job is given up
        self._waiting: dict[JobKind, Turns] = {kind: Turns() for kind in ("firm", *NOT_FIRM)}  # not sent yet, by kind
        self._again: deque[JobRow] = deque()  # firm rows whose replica died or failed, to be sent before all others
        self._replicas: dict[int, Replica] = {}  # those that are up, by number

    def __len__(self) -> int:
        """Jobs not answered yet."""
        out = sum(len(replica.out) for replica in self._replicas.values())
        return len(self._again) + out + sum(map(len, self._waiting.values()))

    @property
    def firm_waits(self) -> bool:
        """A firm job has not been sent."""
        return bool(self._again or self._waiting["firm"])

    def add(self, row: JobRow) -> None:
        self._waiting[row.kind].add(row)

    def replica_up(self, number: int) -> None:
        """It takes jobs from now on, and has none."""
        self._replicas[number] = Replica(number)

    def take(self, now: float) -> list[tuple[int, JobRow]]:
        """What to send now, each with the replica that it goes to; it counts as sent."""
        taken: list[tuple[int, JobRow]] = []
        while (replica := self._freest()) is not None:
            row = self._next_firm(replica.idle)
            if row is None and replica.idle:
                row = self._next_not_firm()
            if row is None:
                break
            replica.send(row, now)
            taken.append((replica.number, row))
        return taken

    def _freest(self) -> Replica | None:
        """None where all have as much as they may."""
        free = (replica for replica in self._replicas.values() if replica.has_room(self._credit))
        return min(free, key=lambda replica: (len(replica.out), replica.number), default=None)

    def _next_firm(self, alone_possible: bool) -> JobRow | None:
        if self._again:
            return self._again.popleft() if alone_possible or not self._again[0].attempts else None
        return self._waiting["firm"].next()

    def _next_not_firm(self) -> JobRow | None:
        return next((row for kind in NOT_FIRM if (row := self._waiting[kind].next()) is not None), None)

    def _find_waiting(self, job_id: int) -> JobRow | None:
        return next((row for turns in self._waiting.values() if (row := turns.find(job_id)) is not None), None)

    def _that_has(self, job_id: int) -> Replica | None:
        return next((replica for replica in self._replicas.values() if job_id in replica.out), None)

    def make_firm(self, job_id: int) -> None:
        """It matters now: it takes its turn among firm jobs, and is done again if its replica dies."""
        replica = self._that_has(job_id)
        row = replica.out[job_id] if replica is not None else self._find_waiting(job_id)
        if row is None or row.kind == "firm":
            return
        if replica is None:
            self._waiting[row.kind].remove(row)
            self._waiting["firm"].add(row)
        row.kind = "firm"

    def replace(self, job_id: int, work: Work, limit_s: float) -> bool:
        """What a job that still waits is to do instead. False if it has been sent."""
        row = self._find_waiting(job_id)
        if row is not None:
            row.work, row.limit_s = work, limit_s
        return row is not None

    def sent_work(self, number: int, job_id: int) -> Work | None:
        """What a job that this replica has does, whether anybody needs it or not."""
        row = self._replicas[number].out.get(job_id) if number in self._replicas else None
        return row.work if row else None

    def started(self, number: int, job_id: int) -> JobRow | None:
        """As of Replica.started."""
        return self._replicas[number].started(job_id) if number in self._replicas else None

    def answered(self, number: int, job_id: int) -> JobRow | None:
        """The row that this replica's result closes; None if nobody waits for it any more, or not from that one."""
        return self._replicas[number].answered(job_id) if number in self._replicas else None

    def retry(self, row: JobRow) -> bool:
        """An answered row that went wrong is to be sent again, alone; False if that was its last attempt."""
        if row.kind != "firm" or row.attempts >= self._max_attempts:
            return False
        row.running = False
        self._again.appendleft(row)
        return True

    def withdraw(self, job_id: int) -> int | None:
        """Nobody needs it any more. The replica that has it (and should be told), None if it is not out."""
        replica = self._that_has(job_id)
        if replica is not None:
            replica.out[job_id].withdrawn = True
            return replica.number
        if (row := self._find_waiting(job_id)) is not None:
            self._waiting[row.kind].remove(row)
        else:
            self._again = deque(row for row in self._again if row.job_id != job_id)
        return None

    def replica_gone(self, number: int) -> list[JobRow]:
        """Everything sent to it is to be sent again, but for the rows returned: those are given up. So is all that is
        not firm, which costs no firm job an attempt. Nothing, where it was not up."""
        replica = self._replicas.pop(number, None)
        lost = replica.lost() if replica is not None else []
        given_up = [row for row in lost if row.kind != "firm" or row.attempts >= self._max_attempts]
        self._again.extendleft(row for row in reversed(lost) if row not in given_up)
        return given_up

    def drop_all(self) -> list[JobRow]:
        """Give up every job: the stage is not coming back."""
        out = [row for replica in self._replicas.values() for row in replica.out.values() if not row.withdrawn]
        rows = [*out, *self._again, *(row for turns in self._waiting.values() for row in turns.clear())]
        for replica in self._replicas.values():
            replica.out.clear()
        self._again.clear()
        return rows
