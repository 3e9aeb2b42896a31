"""Whatever happens in whatever order, no job is lost or done twice."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.job_queue.rows import MAX_ATTEMPTS, ids_of, row
from wernicke_daemon.dispatch.job_queue import JobQueue, JobRow


class Jobs(RuleBasedStateMachine):
    """A stage that dies and fails at random: every job ends in exactly one of answered, poison, withdrawn."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue(credit=2, max_attempts=MAX_ATTEMPTS)
        self.added = 0
        self.stage: list[JobRow] = []
        self.running: int | None = None
        self.attempts: dict[int, int] = {}
        self.ended: dict[int, str] = {}

    def end(self, job_id: int, how: str) -> None:
        assert job_id not in self.ended, f"job {job_id} was {self.ended[job_id]} and then {how}"
        self.ended[job_id] = how

    @rule(session=st.sampled_from("abc"))
    def add(self, session: str) -> None:
        self.added += 1
        self.queue.add(row(self.added, session))

    @rule()
    def send(self) -> None:
        for sent in self.queue.take(0.0):
            assert sent.job_id not in self.ended
            assert sent.job_id not in ids_of(self.stage)
            self.stage.append(sent)

    @precondition(lambda self: self.stage and self.running is None)
    @rule()
    def start(self) -> None:
        self.running = self.stage[0].job_id
        self.attempts[self.running] = self.attempts.get(self.running, 0) + 1
        self.queue.started(self.running)

    @precondition(lambda self: self.stage)
    @rule()
    def answer(self) -> None:
        job_id = self.stage.pop(0).job_id
        self.running = None
        if self.queue.answered(job_id) is not None:
            self.end(job_id, "answered")
        else:
            assert self.ended[job_id] == "withdrawn"

    @precondition(lambda self: self.running is not None)
    @rule()
    def fail(self) -> None:
        job_id, self.running = self.stage.pop(0).job_id, None
        failed = self.queue.answered(job_id)
        if failed is None:
            assert self.ended[job_id] == "withdrawn"
        elif not self.queue.retry(failed):
            assert self.attempts[job_id] == MAX_ATTEMPTS
            self.end(job_id, "poison")

    @rule()
    def die(self) -> None:
        self.stage, self.running = [], None
        for given_up in self.queue.stage_died():
            assert self.attempts[given_up.job_id] == MAX_ATTEMPTS
            self.end(given_up.job_id, "poison")

    @precondition(lambda self: len(self.ended) < self.added)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        open_ids = [job_id for job_id in range(1, self.added + 1) if job_id not in self.ended]
        job_id = data.draw(st.sampled_from(open_ids))
        assert self.queue.withdraw(job_id) is (job_id in ids_of(self.stage))
        self.end(job_id, "withdrawn")

    @invariant()
    def credit_is_kept(self) -> None:
        assert len(self.stage) <= 2

    @invariant()
    def suspects_are_alone(self) -> None:
        suspects = [each for each in self.stage if self.attempts.get(each.job_id, 0) > (each.job_id == self.running)]
        assert not suspects or len(self.stage) == 1

    @invariant()
    def nothing_is_forgotten(self) -> None:
        still_out = [each for each in self.stage if self.ended.get(each.job_id) == "withdrawn"]
        assert len(self.queue) == self.added - len(self.ended) + len(still_out)

    def teardown(self) -> None:
        """A stage that lives answers all that is left."""
        self.send()
        while self.stage:
            self.answer()
            self.send()
        assert len(self.ended) == self.added


TestJobs = Jobs.TestCase
TestJobs.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
