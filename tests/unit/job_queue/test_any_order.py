"""Whatever happens in whatever order, no job is lost or done twice."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.unit.job_queue.rows import MAX_ATTEMPTS, ids_of, row
from wernicke_daemon.dispatch.job_queue import JobQueue
from wernicke_daemon.dispatch.turns import JobRow

CREDIT = 2


class Jobs(RuleBasedStateMachine):
    """Replicas that die and fail at random: every job ends in exactly one of answered, poison, withdrawn."""

    REPLICAS = 1

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue(CREDIT, MAX_ATTEMPTS)
        self.added = 0
        self.inside: dict[int, list[JobRow]] = {}  # by replica that is up
        self.running: dict[int, int] = {}  # the job that it is at, by replica
        self.attempts: dict[int, int] = {}
        self.ended: dict[int, str] = {}
        for replica in range(self.REPLICAS):
            self.come(replica)

    def come(self, replica: int) -> None:
        self.inside[replica] = []
        self.queue.replica_up(replica)

    def end(self, job_id: int, how: str) -> None:
        assert job_id not in self.ended, f"job {job_id} was {self.ended[job_id]} and then {how}"
        self.ended[job_id] = how

    def one(self, number: int, able: list[int]) -> int:
        return able[number % len(able)]

    @property
    def out(self) -> list[int]:
        return [each.job_id for rows in self.inside.values() for each in rows]

    @property
    def busy(self) -> list[int]:
        return [replica for replica, rows in self.inside.items() if rows]

    @rule(session=st.sampled_from("abc"))
    def add(self, session: str) -> None:
        self.added += 1
        self.queue.add(row(self.added, session))

    @rule()
    def send(self) -> None:
        for replica, sent in self.queue.take(0.0):
            assert sent.job_id not in self.ended
            assert sent.job_id not in self.out
            self.inside[replica].append(sent)

    @precondition(lambda self: self.busy)
    @rule(number=st.integers(0, 9))
    def start(self, number: int) -> None:
        replica = self.one(number, self.busy)
        if replica in self.running:
            return
        job_id = self.running[replica] = self.inside[replica][0].job_id
        self.attempts[job_id] = self.attempts.get(job_id, 0) + 1
        self.queue.started(replica, job_id)

    @precondition(lambda self: self.busy)
    @rule(number=st.integers(0, 9))
    def answer(self, number: int) -> None:
        replica = self.one(number, self.busy)
        job_id = self.inside[replica].pop(0).job_id
        if self.running.pop(replica, None) is None:
            self.attempts[job_id] = self.attempts.get(job_id, 0) + 1
        if self.queue.answered(replica, job_id) is not None:
            self.end(job_id, "answered")
        else:
            assert self.ended[job_id] == "withdrawn"

    @precondition(lambda self: self.running)
    @rule(number=st.integers(0, 9))
    def fail(self, number: int) -> None:
        replica = self.one(number, [*self.running])
        job_id = self.inside[replica].pop(0).job_id
        del self.running[replica]
        failed = self.queue.answered(replica, job_id)
        if failed is None:
            assert self.ended[job_id] == "withdrawn"
        elif not self.queue.retry(failed):
            assert self.attempts[job_id] == MAX_ATTEMPTS
            self.end(job_id, "poison")

    @precondition(lambda self: self.busy)
    @rule(number=st.integers(0, 9))
    def hear_of_another_replicas_job(self, number: int) -> None:
        """What another says of a job that is not its own changes nothing."""
        job_id, other = self.inside[self.one(number, self.busy)][0].job_id, self.REPLICAS
        assert self.queue.answered(other, job_id) is None and self.queue.started(other, job_id) is None

    @precondition(lambda self: self.inside)
    @rule(number=st.integers(0, 9), back=st.booleans())
    def die(self, number: int, back: bool) -> None:
        replica = self.one(number, [*self.inside])
        others = [job_id for job_id in self.out if job_id not in ids_of(self.inside[replica])]
        del self.inside[replica]
        self.running.pop(replica, None)
        for given_up in self.queue.replica_gone(replica):
            assert given_up.job_id not in others
            assert self.attempts[given_up.job_id] == MAX_ATTEMPTS
            self.end(given_up.job_id, "poison")
        if back:
            self.come(replica)

    @precondition(lambda self: len(self.inside) < self.REPLICAS)
    @rule()
    def come_back(self) -> None:
        self.come(next(replica for replica in range(self.REPLICAS) if replica not in self.inside))

    @precondition(lambda self: len(self.ended) < self.added)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        open_ids = [job_id for job_id in range(1, self.added + 1) if job_id not in self.ended]
        job_id = data.draw(st.sampled_from(open_ids))
        where = [replica for replica, rows in self.inside.items() if job_id in ids_of(rows)]
        assert self.queue.withdraw(job_id) == (where[0] if where else None)
        self.end(job_id, "withdrawn")

    @invariant()
    def credit_is_kept(self) -> None:
        assert all(len(rows) <= CREDIT for rows in self.inside.values())

    @invariant()
    def a_job_is_in_one_place(self) -> None:
        assert len(set(self.out)) == len(self.out)

    @invariant()
    def suspects_are_alone(self) -> None:
        for replica, rows in self.inside.items():
            running = self.running.get(replica)
            suspects = [each for each in rows if self.attempts.get(each.job_id, 0) > (each.job_id == running)]
            assert not suspects or len(rows) == 1

    @invariant()
    def nothing_is_forgotten(self) -> None:
        still_out = [job_id for job_id in self.out if self.ended.get(job_id) == "withdrawn"]
        assert len(self.queue) == self.added - len(self.ended) + len(still_out)

    def teardown(self) -> None:
        """Replicas that live answer all that is left."""
        while len(self.inside) < self.REPLICAS:
            self.come_back()
        self.send()
        while self.busy:
            self.answer(0)
            self.send()
        assert len(self.ended) == self.added


@pytest.mark.parametrize("replicas", [1, 3])
def test_no_job_is_lost_or_done_twice(replicas: int) -> None:
    machine = type("JobsOfReplicas", (Jobs,), {"REPLICAS": replicas})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
