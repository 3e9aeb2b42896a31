"""Jobs of one stage that wait to be sent: the oldest first within a session, and sessions take turns. Pure."""

from collections import OrderedDict, deque
from dataclasses import dataclass

from ipc.messages import JobKind, Work


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


class Turns:
    """Rows that wait."""

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
