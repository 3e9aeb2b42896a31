"""Which job goes to which stage when, and that every utterance is settled exactly once whatever stages do."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ipc.audio_handle import AudioHandle
from ipc.messages import (
    STAGES,
    AsrResult,
    AsrWork,
    Boundary,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    DiarizationWork,
    Done,
    Failed,
    IngestOutcome,
    IngestResult,
    IngestTask,
    IngestWork,
    Job,
    JobKind,
    Result,
    Segment,
    StageName,
    Turn,
    Work,
)
from wernicke_daemon.dispatch.dispatcher import DOWN, GAVE_UP, Dispatcher
from wernicke_daemon.dispatch.llm_breaker import PROBE_EVERY_S, TRIPS_AFTER
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.stage_port import StageStatus
from wernicke_daemon.utterances.caption import Caption
from wernicke_daemon.utterances.pieces import Piece, StageTiming
from wernicke_daemon.utterances.said import Said
from wernicke_daemon.utterances.utterance import Utterance

POLICY = Policy(
    diarization_s=10.0,
    correction_s=5.0,
    restart_grace_s=15.0,
    asr_down_limit_s=120.0,
    shed_after_s=100.0,
    job_s=120.0,
    job_per_audio_s=20.0,
    credit=2,
    max_attempts=2,
)
HELLO = AsrResult("en", 1.0, (Segment(0.0, 1.0, "hello", ()),), "whisper")
SILENCE = AsrResult("en", 1.0, (), "whisper")
TURNS = DiarizationResult((Turn(0.0, 1.0, 3),), ((1.0,),) * 4, 0.7)
INGEST = IngestWork((IngestTask("s", AudioHandle("arena", 0, 1, 0, 512), b"", None, 0.0),))
FOUND = IngestResult((IngestOutcome("s", 512, 0, b"", (), False),))


def utterance(sequence: int, session: str = "s", pieces: tuple[Piece, ...] = ()) -> Utterance:
    audio = AudioHandle("arena", 0, 1, sequence * 32_000, 16_000)
    return Utterance(
        session=session,
        sequence=sequence,
        buffer_id=f"buff_{sequence}",
        audio=audio,
        boundary=Boundary(sequence * 32_000, sequence * 32_000 + 16_000, "silence", 16_000, 16_000),
        language="en",
        glossary=("Broca",),
        triggered=0.0,
        wall_start=0.0,
        caption=Caption("en"),
        began=0.0,
        pieces=pieces or (Piece(audio, "firm"),),
        said=Said((f"before {sequence}",), sequence, 3),
    )


class Port:
    """A stage without a process. inside: jobs that it was given and has not answered."""

    def __init__(self) -> None:
        self.up = False
        self.sent: list[Job] = []
        self.inside: list[Job] = []
        self.cancelled: list[int] = []

    def send(self, job: Job) -> None:
        assert self.up, "jobs go in between stage_up and stage_down only"
        self.sent.append(job)
        self.inside.append(job)

    def cancel(self, job_id: int) -> None:
        assert self.up
        self.cancelled.append(job_id)

    def status(self) -> StageStatus:
        raise AssertionError("what the dispatcher knows of a stage, it was told")


class Client:
    """The Owner of all utterances here: writes down what it is told."""

    def __init__(self) -> None:
        self.texts: list[int] = []
        self.improved_: list[int] = []
        self.live: list[Piece] = []
        self.released: list[int] = []
        self.results: list[Utterance] = []

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        assert utterance.asr is not None
        if not shed:
            self.texts.append(utterance.sequence)

    def heard(self, piece: Piece) -> None:
        self.live.append(piece)

    def improved(self, utterance: Utterance, shed: bool) -> None:
        self.improved_.append(utterance.sequence)

    def audio_released(self, utterance: Utterance) -> None:
        assert utterance.certain and utterance.sequence not in self.released
        self.released.append(utterance.sequence)

    def settled(self, utterance: Utterance) -> None:
        assert not utterance.open_jobs
        assert utterance.certain and utterance.sequence in self.released
        self.results.append(utterance)


class World:
    """A dispatcher with four stages, an owner, and a clock that stands unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ports: dict[StageName, Port] = {stage: Port() for stage in STAGES}
        self.client = Client()
        self.jobs: list[tuple[StageName, JobKind, StageTiming]] = []
        self.status: list[tuple[StageName, bool]] = []
        self.shed: list[int] = []
        self.dispatcher = Dispatcher(
            POLICY,
            on_job=lambda stage, kind, timing: self.jobs.append((stage, kind, timing)),
            on_status=lambda stage, up: self.status.append((stage, up)),
            now=self.now,
            on_shed=self.shed.append,
        )
        self.dispatcher.connect(self.ports)
        self.served = 0

    def up(self, stage: StageName, engine: str = "real") -> None:
        self.ports[stage].up = True
        self.dispatcher.stage_up(stage, engine, stage == "asr", self.now)

    def down(self, stage: StageName, failed: bool = False) -> None:
        self.ports[stage].up = False
        self.ports[stage].inside.clear()
        self.dispatcher.stage_down(stage, failed, self.now)

    def submit(self, session: str = "s") -> Utterance:
        self.served += 1
        submitted = utterance(self.served, session)
        self.dispatcher.submit(submitted, self.client, self.now)
        return submitted

    def begin_early(self, *pieces: Piece, session: str = "s") -> Utterance:
        """Work on one whose end is not certain yet."""
        self.served += 1
        begun = utterance(self.served, session, pieces)
        self.dispatcher.begin_early(begun, self.client, self.now)
        return begun

    def confirm(self, begun: Utterance) -> None:
        self.dispatcher.confirm(begun, self.client, self.now)

    def do_all(self) -> None:
        """Every stage answers everything."""
        results: dict[StageName, Result] = {"asr": HELLO, "diarization": TURNS}
        while any(self.ports[stage].inside for stage in ("asr", "diarization", "correction")):
            for stage, port in self.ports.items():
                if port.inside:
                    self.answer(stage, results.get(stage, CorrectionResult(("Hello.",))))

    def work(self, stage: StageName) -> list[Work]:
        return [job.work for job in self.ports[stage].inside]

    def start(self, stage: StageName) -> None:
        self.dispatcher.job_started(stage, self.ports[stage].inside[0].job_id)

    def answer(self, stage: StageName, result: Result, run_ms: float = 1.0) -> Done:
        """The stage's oldest job is done."""
        done = Done(self.ports[stage].inside.pop(0).job_id, result, run_ms)
        self.dispatcher.job_answered(stage, done, self.now)
        return done

    def fail(self, stage: StageName, code: str = "ENGINE_FAILED") -> None:
        job = self.ports[stage].inside.pop(0)
        self.dispatcher.job_answered(stage, Failed(job.job_id, code, "it did not work", 1.0), self.now)

    def kill_at_work(self, stage: StageName) -> None:
        """The stage dies under its oldest job, and is back at once."""
        self.start(stage)
        self.down(stage)
        self.up(stage)

    def wait(self, seconds: float) -> None:
        """Time passes, in the daemon's small steps."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.5, end)
            self.dispatcher.check_deadlines(self.now)

    @property
    def settled(self) -> list[int]:
        return [result.sequence for result in self.client.results]


@pytest.fixture
def world() -> World:
    made = World()
    for stage in STAGES:
        made.up(stage)
    return made


# --- the way of an utterance ---


def test_asr_and_diarization_side_by_side(world: World) -> None:
    """Both get the utterance at once; correction gets nothing yet."""
    submitted = world.submit()
    assert world.work("asr") == [AsrWork(submitted.audio, "en", ("Broca",))]
    assert world.work("diarization") == [DiarizationWork(submitted.audio)]
    assert world.work("correction") == []


def test_a_job_may_take_longer_the_more_audio_it_has(world: World) -> None:
    """Its limit goes along: so much for any job, and so much for each second of its utterance."""
    world.submit()
    world.dispatcher.examine(INGEST, lambda result: None, world.now)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    limits = {stage: port.sent[0].limit_s for stage, port in world.ports.items()}
    news_s = INGEST.tasks[0].audio.seconds
    assert limits == {"ingest": 120.0 + 20.0 * news_s, "asr": 140.0, "diarization": 140.0, "correction": 140.0}


@pytest.mark.parametrize("first", ["asr", "diarization"])
def test_they_meet_before_correction(world: World, first: StageName) -> None:
    """Whichever is ready first waits for the other; then one correction job carries the text and what was before."""
    world.submit()
    answers: list[tuple[StageName, Result]] = [("asr", HELLO), ("diarization", TURNS)]
    for stage, result in sorted(answers, key=lambda each: each[0] != first):
        assert world.work("correction") == []
        world.answer(stage, result)
    assert world.work("correction") == [CorrectionWork(("hello",), "en", ("Broca",), ("before 1",))]


def test_a_complete_result(world: World) -> None:
    """Settled once, with what every stage found and nothing to warn of."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert world.settled == []
    world.now += 3.0
    world.answer("correction", CorrectionResult(("Hello.",)))
    assert world.client.results == [submitted]
    assert [line.speaker for line in submitted.lines] == [3]
    assert submitted.correction == CorrectionResult(("Hello.",))
    assert (submitted.warnings, submitted.failure, submitted.settled) == ([], None, 1003.0)


def test_the_text_is_announced_without_waiting(world: World) -> None:
    """The recognised text goes out while diarization is still at work."""
    world.submit()
    world.answer("asr", HELLO)
    assert world.client.texts == [1]
    assert world.settled == []


def test_audio_is_released_at_the_join(world: World) -> None:
    """Correction reads no audio: it is given up as soon as both that do are in."""
    world.submit()
    world.answer("asr", HELLO)
    assert world.client.released == []
    world.answer("diarization", TURNS)
    assert world.client.released == [1]


def test_stages_overlap(world: World) -> None:
    """While one utterance is corrected, the next are already recognised and diarized."""
    for _ in range(3):
        world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert len(world.work("correction")) == 1
    assert len(world.work("asr")) == POLICY.credit
    assert len(world.work("diarization")) == POLICY.credit


def test_warnings_of_engines_are_passed_on(world: World) -> None:
    """What recognition and correction say of themselves stands in the result."""
    submitted = world.submit()
    world.answer("asr", AsrResult("en", 1.0, HELLO.segments, "whisper", ("ALIGNMENT_UNAVAILABLE",)))
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,), 0, ("LLM_TIMEOUT",)))
    assert submitted.warnings == ["ALIGNMENT_UNAVAILABLE", "LLM_TIMEOUT"]


def test_nothing_said_settles_at_once(world: World) -> None:
    """Empty recognition ends the utterance: no lines, no correction, diarization is told not to bother."""
    submitted = world.submit()
    diarization = world.ports["diarization"].sent[0].job_id
    world.answer("asr", SILENCE)
    assert world.settled == [1]
    assert (submitted.lines, submitted.failure) == ((), None)
    assert world.client.texts == []
    assert world.ports["diarization"].cancelled == [diarization]
    world.answer("diarization", TURNS)
    assert world.settled == [1]
    assert world.ports["correction"].sent == []


def test_segments_without_text_are_nothing_said(world: World) -> None:
    """An empty segment is no text."""
    world.submit()
    world.answer("asr", AsrResult("en", 1.0, (Segment(0.0, 1.0, "", ()),), "whisper"))
    assert world.settled == [1]
    assert world.client.texts == []


def test_timings(world: World) -> None:
    """Each stage's waiting and work are kept with the utterance and told to the figures."""
    submitted = world.submit()
    world.now += 2.0
    world.answer("asr", HELLO, run_ms=1500.0)
    assert submitted.timings["asr"] == StageTiming(queued_ms=500.0, run_ms=1500.0, attempts=1)
    assert world.jobs == [("asr", "firm", submitted.timings["asr"])]


# --- what is left out ---


@pytest.mark.parametrize("skipped", ["diarization", "correction"])
def test_an_engine_that_is_none_gets_no_jobs(world: World, skipped: StageName) -> None:
    """What the operator left out is skipped without a warning."""
    world.up(skipped, "none")
    submitted = world.submit()
    world.answer("asr", HELLO)
    answers: list[tuple[StageName, Result]] = [("diarization", TURNS), ("correction", CorrectionResult((None,)))]
    for stage, result in answers:
        if stage != skipped:
            world.answer(stage, result)
    assert world.settled == [1]
    assert submitted.warnings == []
    assert world.ports[skipped].sent == []


def test_an_engine_that_is_found_at_a_restart_is_used(world: World) -> None:
    """`auto` may choose `none` once and something better the next time."""
    world.up("diarization", "none")
    world.down("diarization")
    world.up("diarization", "spectral")
    world.submit()
    assert len(world.work("diarization")) == 1


@pytest.mark.parametrize(
    ("stage", "code"), [("diarization", "DIARIZATION_UNAVAILABLE"), ("correction", "LLM_UNAVAILABLE")]
)
def test_a_failed_optional_stage_is_left_out(world: World, stage: StageName, code: str) -> None:
    """While it is not expected back, results say that its part is missing; when it is back, they have it."""
    world.down(stage, failed=True)
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "correction":
        world.answer("diarization", TURNS)
    else:
        world.answer("correction", CorrectionResult((None,)))
    assert world.settled == [1]
    assert submitted.warnings == [code]
    world.up(stage)
    world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,)))
    assert world.client.results[1].warnings == []


def test_failing_for_good_frees_those_who_wait(world: World) -> None:
    """Utterances that are at diarization or wait for it go on the moment it is given up."""
    for _ in range(4):
        world.submit()
    world.answer("asr", HELLO)
    assert world.work("correction") == []
    world.down("diarization", failed=True)
    assert len(world.work("correction")) == 1
    assert world.dispatcher.depth("diarization") == 0
    for _ in range(3):
        world.answer("asr", HELLO)
    for _ in range(4):
        world.answer("correction", CorrectionResult((None,)))
    assert world.settled == [1, 2, 3, 4]
    assert all(result.warnings == ["DIARIZATION_UNAVAILABLE"] for result in world.client.results)


def test_recognition_is_waited_for(world: World) -> None:
    """A failed ASR keeps its jobs for as long as it may be down: they are done when it is back."""
    world.submit()
    world.down("asr", failed=True)
    world.wait(POLICY.asr_down_limit_s)
    assert world.settled == []
    world.up("asr")
    assert len(world.work("asr")) == 1


def test_recognition_that_stays_down_is_given_up(world: World) -> None:
    """What waits, and what comes, is an error that says so; nobody's audio is held for ever."""
    world.submit()
    world.down("asr")
    world.wait(POLICY.asr_down_limit_s + 0.5)
    assert [result.failure for result in world.client.results] == [DOWN]
    world.submit()
    assert [result.failure for result in world.client.results] == [DOWN, DOWN]
    assert world.client.released == [1, 2]
    assert all(world.dispatcher.depth(stage) == 0 for stage in ("asr", "correction"))


def test_recognition_that_is_back_serves_what_comes(world: World) -> None:
    """An outage, however long, is over when it is over; the next has its whole time again."""
    world.down("asr", failed=True)
    world.wait(POLICY.asr_down_limit_s + 10.0)
    world.up("asr")
    world.submit()
    assert len(world.work("asr")) == 1
    world.down("asr")
    world.wait(POLICY.asr_down_limit_s)
    assert world.settled == []


# --- faults of one job ---


def test_a_failed_recognition_is_an_error(world: World) -> None:
    """The utterance settles with the engine's reason; its diarization is called off, the next is not affected."""
    first = world.submit()
    second = world.submit()
    diarization = world.ports["diarization"].sent[0].job_id
    world.fail("asr")
    assert world.client.results == [first]
    assert (first.failure, first.lines) == ("it did not work", ())
    assert world.ports["diarization"].cancelled == [diarization]
    world.answer("asr", HELLO)
    assert second.asr == HELLO


@pytest.mark.parametrize("code", ["INTERNAL_ERROR", "STALE_HANDLE"])
def test_what_an_engine_did_not_foresee_is_tried_again(world: World, code: str) -> None:
    """An unexpected exception may not come again: the same job goes out once more, and the result is whole."""
    submitted = world.submit()
    before = world.ports["asr"].inside[0]
    world.start("asr")
    world.fail("asr", code)
    assert world.ports["asr"].inside == [before]
    world.start("asr")
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,)))
    assert (submitted.failure, submitted.warnings, submitted.timings["asr"].attempts) == (None, [], 2)


@pytest.mark.parametrize("code", ["INTERNAL_ERROR", "STALE_HANDLE"])
def test_only_reasons_meant_for_people_reach_the_client(world: World, code: str) -> None:
    """What an unexpected exception says may hold a path: the client is referred to the log."""
    submitted = world.submit()
    for _ in range(POLICY.max_attempts):
        assert submitted.failure is None
        world.start("asr")
        world.fail("asr", code)
    assert submitted.failure == GAVE_UP


@pytest.mark.parametrize("stage", STAGES)
def test_a_wrong_answer_is_a_failure(world: World, stage: StageName) -> None:
    """A result that can't be one to its job is not taken for one; the job is tried again, and then given up."""
    got: list[IngestResult | None] = []
    submitted = world.submit()
    world.dispatcher.examine(INGEST, got.append, world.now)
    if stage == "correction":
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    wrong: dict[StageName, Result] = {
        "ingest": IngestResult(()),
        "asr": TURNS,
        "diarization": DiarizationResult((Turn(0.0, 1.0, 1),), ((1.0,),), 0.7),
        "correction": CorrectionResult(("Hello.", "and more")),
    }
    for _ in range(POLICY.max_attempts):
        assert (got, submitted.warnings, submitted.failure) == ([], [], None)
        world.start(stage)
        world.answer(stage, wrong[stage])
    assert got == ([None] if stage == "ingest" else [])
    assert submitted.failure == (GAVE_UP if stage == "asr" else None)
    warnings = {"diarization": ["DIARIZATION_UNAVAILABLE"], "correction": ["LLM_UNAVAILABLE"]}
    assert submitted.warnings == warnings.get(stage, [])


@pytest.mark.parametrize(
    ("stage", "code"), [("diarization", "DIARIZATION_UNAVAILABLE"), ("correction", "LLM_UNAVAILABLE")]
)
def test_an_optional_stage_that_fails_on_a_job_is_done_without(world: World, stage: StageName, code: str) -> None:
    """The result goes out with what there is, and says what is missing."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "diarization":
        world.fail("diarization")
        world.answer("correction", CorrectionResult(("Hello.",)))
    else:
        world.answer("diarization", TURNS)
        world.fail("correction")
    assert world.settled == [1]
    assert submitted.warnings == [code]
    assert len(submitted.lines) == 1


def test_diarization_that_fails_first_does_not_end_the_wait_for_text(world: World) -> None:
    """Without diarization the text is still awaited."""
    world.submit()
    world.fail("diarization")
    assert world.settled == []
    world.answer("asr", HELLO)
    assert len(world.work("correction")) == 1


# --- deaths ---


@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
def test_a_killed_stage_does_its_job_again(world: World, stage: StageName) -> None:
    """The same job goes to the next incarnation; the result is that of an undisturbed run."""
    submitted = world.submit()
    answers: list[tuple[StageName, Result]] = [
        ("asr", HELLO),
        ("diarization", TURNS),
        ("correction", CorrectionResult(("Hello.",))),
    ]
    for name, result in answers:
        if name == stage:
            before = world.ports[name].inside[0]
            world.kill_at_work(name)
            assert world.ports[name].inside == [before]
        world.answer(name, result)
    assert world.settled == [1]
    assert (submitted.warnings, submitted.failure) == ([], None)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_spare_that_takes_over_at_once_gets_the_jobs(world: World, attempts: int) -> None:
    """The stage is never down then, and nobody is told that it was. Poison is poison all the same."""
    first, second = world.submit(), world.submit()
    world.status.clear()
    for _ in range(attempts):
        world.start("asr")
        world.ports["asr"].inside.clear()
        world.up("asr")
    assert world.status == [("asr", True)] * attempts
    assert (first.failure is None) == (attempts < POLICY.max_attempts)
    waiting = [second] if first.failure else [first]
    assert world.work("asr") == [AsrWork(said.audio, said.language, said.glossary) for said in waiting]


def test_attempts_are_counted(world: World) -> None:
    """The figures show that a job was begun twice."""
    submitted = world.submit()
    world.kill_at_work("asr")
    world.start("asr")
    world.answer("asr", HELLO)
    assert submitted.timings["asr"].attempts == 2


def test_nothing_is_sent_to_a_stage_that_is_down(world: World) -> None:
    """Jobs wait for the next incarnation."""
    world.down("asr")
    world.submit()
    assert world.work("asr") == []
    world.up("asr")
    assert len(world.work("asr")) == 1


def test_a_second_answer_is_nothing(world: World) -> None:
    """A job is answered once; the same answer again changes nothing."""
    world.submit()
    done = world.answer("asr", HELLO)
    world.dispatcher.job_answered("asr", done, world.now)
    assert world.client.texts == [1]


def test_poison_in_recognition_is_an_error(world: World) -> None:
    """An utterance that kills ASR twice fails; the one behind it is recognised."""
    first, second = world.submit(), world.submit()
    world.kill_at_work("asr")
    assert len(world.work("asr")) == 1, "a suspect goes alone"
    world.kill_at_work("asr")
    assert world.client.results == [first]
    assert first.failure == GAVE_UP
    world.answer("asr", HELLO)
    assert second.asr == HELLO


@pytest.mark.parametrize(
    ("stage", "code"), [("diarization", "DIARIZATION_UNAVAILABLE"), ("correction", "LLM_UNAVAILABLE")]
)
def test_poison_in_an_optional_stage_is_done_without(world: World, stage: StageName, code: str) -> None:
    """An utterance that kills diarization or correction twice goes out without its part."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "correction":
        world.answer("diarization", TURNS)
    world.kill_at_work(stage)
    world.kill_at_work(stage)
    if stage == "diarization":
        world.answer("correction", CorrectionResult((None,)))
    assert world.settled == [1]
    assert submitted.warnings == [code]


def test_status_is_told(world: World) -> None:
    """Whoever shows the state of stages hears of every change."""
    world.status.clear()
    world.down("asr")
    world.up("asr")
    assert world.status == [("asr", False), ("asr", True)]


# --- deadlines ---


def test_diarization_has_its_time_after_the_text(world: World) -> None:
    """The wait for speakers begins when the text is there; when it is over, the text goes on without them."""
    submitted = world.submit()
    world.wait(60.0)
    world.answer("asr", HELLO)
    world.wait(POLICY.diarization_s - 0.5)
    assert world.client.released == []
    world.wait(0.5)
    assert submitted.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]
    assert [line.speaker for line in submitted.lines] == [None]


def test_an_llm_is_not_asked_and_not_blamed_when_it_is_too_late_already(world: World) -> None:
    """Recognition that takes longer than correction may: the LLM never trips its breaker for that."""
    for _ in range(4):
        submitted = world.submit()
        world.wait(POLICY.correction_s)
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
        assert submitted.warnings == ["LLM_TIMEOUT"]
    assert world.ports["correction"].sent == []
    world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert len(world.ports["correction"].sent) == 1


def test_correction_is_due_after_the_trigger(world: World) -> None:
    """Time that recognition took counts; the recognised text goes out in time."""
    submitted = world.submit()
    world.wait(2.0)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(POLICY.correction_s - 2.5)
    assert world.settled == []
    world.wait(0.5)
    assert world.settled == [1]
    assert (submitted.warnings, submitted.correction) == (["LLM_TIMEOUT"], None)
    assert [line.segment.text for line in submitted.lines] == ["hello"]


@pytest.mark.parametrize("stage", ["diarization", "correction"])
def test_what_comes_too_late_is_dropped(world: World, stage: StageName) -> None:
    """A join is closed for good: the stage is told to stop, and its late answer changes nothing."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "correction":
        world.answer("diarization", TURNS)
    late = world.ports[stage].inside[0].job_id
    world.wait(POLICY.diarization_s)
    assert world.ports[stage].cancelled == [late]
    world.wait(POLICY.correction_s)
    assert world.settled == [1]
    warnings = list(submitted.warnings)
    world.answer(stage, TURNS if stage == "diarization" else CorrectionResult(("late",)))
    assert world.settled == [1]
    assert submitted.warnings == warnings
    assert submitted.correction is None
    assert stage != "diarization" or submitted.diarization is None


def test_a_late_job_is_not_done_again_after_a_death(world: World) -> None:
    """A job whose time was up does not go to the next incarnation."""
    world.submit()
    world.answer("asr", HELLO)
    world.wait(POLICY.diarization_s)
    world.down("diarization")
    world.up("diarization")
    assert world.work("diarization") == []
    assert world.dispatcher.depth("diarization") == 0


def test_an_answer_in_time_ends_the_deadline(world: World) -> None:
    """No warning comes after the answer."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,)))
    world.wait(60.0)
    assert world.settled == [1]
    assert submitted.warnings == []


def test_a_restart_does_not_count(world: World) -> None:
    """While the stage is down its deadline waits, and goes on where it was."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.wait(6.0)
    world.down("diarization")
    world.wait(POLICY.restart_grace_s - 1.0)
    world.up("diarization")
    world.wait(POLICY.diarization_s - 6.5)
    assert submitted.warnings == []
    world.wait(0.5)
    assert submitted.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]


def test_an_outage_holds_results_back_for_the_grace_only(world: World) -> None:
    """An optional stage that does not come back is waited for no longer than grace and deadline."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.down("diarization")
    world.wait(POLICY.restart_grace_s + POLICY.diarization_s - 0.5)
    assert submitted.warnings == []
    world.wait(0.5)
    assert submitted.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]


def test_time_without_recognition_does_not_count(world: World) -> None:
    """An utterance that had to wait for ASR's restart still gets its correction."""
    world.submit()
    world.down("asr")
    world.wait(100.0)
    world.up("asr")
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(POLICY.correction_s - 0.5)
    assert len(world.work("correction")) == 1
    assert world.settled == []


# --- ingest ---


def test_an_ingest_job_is_answered(world: World) -> None:
    """Its result goes to whoever asked."""
    got: list[IngestResult | None] = []
    world.dispatcher.examine(INGEST, got.append, world.now)
    assert world.work("ingest") == [INGEST]
    world.answer("ingest", FOUND)
    assert got == [FOUND]


def test_an_ingest_job_is_done_again_after_a_death(world: World) -> None:
    """The same job goes out again, and is answered once."""
    got: list[IngestResult | None] = []
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.kill_at_work("ingest")
    assert world.work("ingest") == [INGEST]
    world.answer("ingest", FOUND)
    assert got == [FOUND]


def test_ingest_poison_and_failure_say_that_there_is_no_result(world: World) -> None:
    """A job that can't be done is answered with None, so that the next one can be made."""
    got: list[IngestResult | None] = []
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.kill_at_work("ingest")
    world.kill_at_work("ingest")
    assert got == [None]
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.fail("ingest")
    assert got == [None, None]


def test_ingest_that_stays_down_says_that_there_is_no_result(world: World) -> None:
    """Audio that can't be examined becomes a gap in the end, at once where ingest is given up already."""
    got: list[IngestResult | None] = []
    world.down("ingest")
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.wait(POLICY.asr_down_limit_s)
    assert got == []
    world.wait(0.5)
    assert got == [None]
    world.dispatcher.examine(INGEST, got.append, world.now)
    assert got == [None, None]
    world.up("ingest")
    assert world.work("ingest") == []


# --- falling behind, and an LLM that does not answer ---


def test_partials_are_left_out_first(world: World) -> None:
    """When results begin to be behind the text is not announced any more; speakers are all there."""
    first, second = world.submit(), world.submit()
    world.wait(POLICY.shed_after_s - 0.5)
    assert world.shed == []
    world.wait(0.5)
    assert (world.shed, world.dispatcher.shed_level) == ([1], 1)
    for _ in (first, second):
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    assert world.client.texts == []
    assert [line.speaker for line in first.lines] == [line.speaker for line in second.lines] == [3]
    assert "OVERLOADED" not in first.warnings + second.warnings


def test_correction_is_left_out_before_speakers(world: World) -> None:
    """At level 2 an utterance has speakers and no correction, at level 3 neither, and says so; it always has text."""
    for _ in range(3):
        world.submit()
    world.wait(POLICY.shed_after_s * 1.5)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    first = world.client.results[0]
    assert (first.warnings, [line.speaker for line in first.lines]) == (["OVERLOADED"], [3])
    world.wait(POLICY.shed_after_s / 2)
    assert world.shed == [1, 2, 3]
    last = world.submit()
    for _ in range(3):
        world.answer("asr", HELLO)
    assert (last.warnings, [line.speaker for line in last.lines]) == (["OVERLOADED"], [None])
    assert DiarizationWork(last.audio) not in [job.work for job in world.ports["diarization"].sent]


def test_all_is_done_again_when_results_are_in_time(world: World) -> None:
    """Nothing is behind any more: the next utterance has everything."""
    world.submit()
    world.wait(POLICY.shed_after_s * 2)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(0.5)
    assert (world.shed, world.dispatcher.shed_level) == ([1, 2, 3, 0], 0)
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert world.client.texts == [2]
    assert submitted.warnings == []
    assert len(world.work("correction")) == 1


def test_a_restart_is_not_falling_behind(world: World) -> None:
    """While recognition is down nothing could be faster by being left out."""
    world.submit()
    world.down("asr")
    world.wait(POLICY.shed_after_s)
    assert world.shed == []


def time_out(world: World) -> Utterance:
    """An utterance whose correction is not there in time."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(POLICY.correction_s)
    if world.work("correction"):
        world.fail("correction", "CANCELLED")
    return submitted


def test_an_llm_that_times_out_is_left_alone_for_a_while(world: World) -> None:
    """After three in a row utterances go out at once, with a warning; now and then one tries it."""
    for _ in range(TRIPS_AFTER):
        assert time_out(world).warnings == ["LLM_TIMEOUT"]
    left_out = time_out(world)
    assert left_out.warnings == ["LLM_UNAVAILABLE"]
    assert left_out.settled < world.now, "it did not wait"
    world.wait(PROBE_EVERY_S)
    probe = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult(("Hello.",)))
    assert probe.warnings == []
    assert time_out(world).warnings == ["LLM_TIMEOUT"], "it is used again"


def test_an_llm_that_says_that_it_was_too_slow_has_timed_out(world: World) -> None:
    """The engine's own time-outs count like passed deadlines."""
    for _ in range(TRIPS_AFTER):
        world.submit()
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
        world.answer("correction", CorrectionResult((None,), 0, ("LLM_TIMEOUT",)))
    assert time_out(world).warnings == ["LLM_UNAVAILABLE"]


# --- before it is certain that it has ended ---


def test_early_work_goes_as_far_as_it_can_and_rests(world: World) -> None:
    """All stages do their part at the pause; nothing is settled, and its audio is kept."""
    begun = world.begin_early()
    world.do_all()
    assert (begun.asr, begun.correction) == (HELLO, CorrectionResult(("Hello.",)))
    assert [job.work.kind for job in world.ports["asr"].sent if isinstance(job.work, AsrWork)] == ["early"]
    assert world.client.texts == [1] and world.client.improved_ == [1, 1]
    assert (world.settled, world.client.released) == ([], [])


def test_what_is_complete_is_settled_the_moment_it_is_certain(world: World) -> None:
    """Nothing is done again."""
    begun = world.begin_early()
    world.do_all()
    sent = {stage: len(port.sent) for stage, port in world.ports.items()}
    world.confirm(begun)
    assert (world.settled, world.client.released, begun.warnings) == ([1], [1], [])
    assert {stage: len(port.sent) for stage, port in world.ports.items()} == sent


def test_what_is_under_way_goes_on_as_firm(world: World) -> None:
    """It is done again if its stage dies from now on."""
    begun = world.begin_early()
    world.confirm(begun)
    world.down("asr")
    assert world.dispatcher.depth("asr") == 1
    world.up("asr")
    world.do_all()
    assert (world.settled, begun.asr) == ([1], HELLO)


@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
def test_a_stage_that_dies_at_early_work_costs_the_utterance_nothing(world: World, stage: StageName) -> None:
    """The early job is not done again; the firm one has all its attempts."""
    begun = world.begin_early()
    if stage == "correction":
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    world.kill_at_work(stage)
    assert world.work(stage) == []
    world.confirm(begun)
    world.kill_at_work(stage)
    assert (begun.failure, begun.warnings) == (None, [])
    world.do_all()
    assert (world.settled, begun.failure, begun.warnings) == ([1], None, [])


@pytest.mark.parametrize("code", ["ENGINE_FAILED", "INTERNAL_ERROR"])
@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
def test_what_fails_early_is_tried_again_when_it_counts(world: World, stage: StageName, code: str) -> None:
    begun = world.begin_early()
    if stage == "correction":
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    world.fail(stage, code)
    world.confirm(begun)
    world.do_all()
    assert (world.settled, begun.failure, begun.warnings) == ([1], None, [])
    assert begun.correction is not None and begun.diarization is not None


def test_an_llm_that_could_not_answer_early_is_asked_again(world: World) -> None:
    begun = world.begin_early()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,), 0, ("LLM_UNAVAILABLE",)))
    world.confirm(begun)
    world.answer("correction", CorrectionResult(("Hello.",)))
    assert (begun.correction, begun.warnings) == (CorrectionResult(("Hello.",)), [])


def test_an_answer_to_other_words_is_not_used(world: World) -> None:
    """What was said before is known only now: the LLM is asked again, as it would be without early work."""
    begun = world.begin_early()
    world.do_all()
    begun.correction_work = CorrectionWork(("hello",), "en", ("Broca",), ())
    world.confirm(begun)
    assert world.work("correction") == [CorrectionWork(("hello",), "en", ("Broca",), ("before 1",))]


def test_an_answer_to_the_same_words_is_used_again(world: World) -> None:
    """Of an utterance that was begun early in another range: the LLM is not asked once more."""
    begun = world.begin_early()
    world.do_all()
    world.dispatcher.withdraw(begun)
    longer = utterance(1)
    longer.corrected_early = begun.known_correction
    world.dispatcher.submit(longer, world.client, world.now)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert (world.settled, longer.correction) == ([1], CorrectionResult(("Hello.",)))
    assert len(world.ports["correction"].sent) == 1


def test_withdrawn_work_is_called_off_and_never_heard_of_again(world: World) -> None:
    begun = world.begin_early()
    jobs = {stage: port.sent[0].job_id for stage, port in world.ports.items() if port.sent}
    world.dispatcher.withdraw(begun)
    assert {stage: port.cancelled[0] for stage, port in world.ports.items() if port.cancelled} == jobs
    world.do_all()
    assert (world.client.texts, world.settled, begun.asr) == ([], [], None)


def test_a_phrase_that_is_kept_becomes_part_of_the_final(world: World) -> None:
    """Recognised once, though the work that it was begun for is no more; times are the utterance's."""
    first = Piece(AudioHandle("arena", 0, 1, 32_000, 16_000), "early")
    begun = world.begin_early(first)
    world.dispatcher.withdraw(begun, kept=first)
    second = Piece(AudioHandle("arena", 0, 1, 64_000, 16_000), "firm")
    whole = utterance(2, pieces=(first, second))
    world.dispatcher.submit(whole, world.client, world.now)
    world.do_all()
    assert whole.asr is not None
    assert [segment.start for segment in whole.asr.segments] == [0.0, 2.0]
    assert len(world.ports["asr"].sent) == 2


def test_early_work_waits_for_a_free_stage(world: World) -> None:
    """A firm job that comes finds at most one before it."""
    world.submit()
    world.begin_early()
    world.begin_early(session="t")
    assert len(world.work("asr")) == 1
    world.answer("asr", HELLO)
    assert len(world.work("asr")) == 1
    firm = world.submit()
    assert len(world.work("asr")) == 2
    world.answer("asr", HELLO)
    world.answer("asr", HELLO)
    assert firm.asr == HELLO


def test_no_deadline_runs_before_it_is_certain(world: World) -> None:
    begun = world.begin_early()
    world.answer("asr", HELLO)
    world.wait(POLICY.diarization_s * 3)
    assert begun.warnings == [] and world.shed == []
    world.confirm(begun)
    world.wait(POLICY.diarization_s)
    assert begun.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]


def test_a_live_pass_is_heard_and_is_part_of_nothing(world: World) -> None:
    piece = Piece(AudioHandle("arena", 0, 1, 0, 16_000), "live")
    world.dispatcher.listen(piece, utterance(1), world.client, world.now)
    world.answer("asr", HELLO)
    assert (world.client.live, piece.result, world.client.texts) == ([piece], HELLO, [])


@pytest.mark.parametrize("fault", ["fails", "dies"])
def test_a_live_pass_that_goes_wrong_is_over(world: World, fault: str) -> None:
    """It is not tried again: the next pass hears more."""
    piece = Piece(AudioHandle("arena", 0, 1, 0, 16_000), "live")
    world.dispatcher.listen(piece, utterance(1), world.client, world.now)
    world.fail("asr", "INTERNAL_ERROR") if fault == "fails" else world.kill_at_work("asr")
    assert (world.client.live, piece.result, world.work("asr")) == ([piece], None, [])


def test_a_live_pass_that_waits_hears_the_newest_audio(world: World) -> None:
    world.submit()
    piece = Piece(AudioHandle("arena", 0, 1, 0, 16_000), "live")
    world.dispatcher.listen(piece, utterance(2), world.client, world.now)
    longer = AudioHandle("arena", 0, 1, 0, 24_000)
    world.dispatcher.listen_to_more(piece, longer)
    world.answer("asr", HELLO)
    assert world.work("asr") == [AsrWork(longer, "en", ("Broca",), "", "live")]
    world.dispatcher.listen_to_more(piece, AudioHandle("arena", 0, 1, 0, 32_000))
    assert piece.audio == longer


def test_live_and_early_work_are_the_first_to_go(world: World) -> None:
    """No live pass while a firm job waits; neither while results are behind, or the recogniser is down."""
    assert world.dispatcher.takes_live_work and world.dispatcher.takes_early_work
    for _ in range(POLICY.credit + 1):
        world.submit()
    assert not world.dispatcher.takes_live_work and world.dispatcher.takes_early_work
    world.wait(POLICY.shed_after_s)
    assert not world.dispatcher.takes_early_work
    world.do_all()
    world.wait(0.5)
    world.down("asr")
    assert not world.dispatcher.takes_live_work and not world.dispatcher.takes_early_work


# --- anything at all ---


class Days(RuleBasedStateMachine):
    """Stages die, fail, dawdle and come back in any order."""

    OPTIONAL = ("diarization", "correction")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        for stage in STAGES:
            self.world.up(stage)
        self.ingest: list[IngestResult | None] = []
        self.examined = 0
        self.early: list[Utterance] = []
        self.withdrawn: set[int] = set()
        self.listened = 0

    def result_of(self, stage: StageName, silent: bool) -> Result:
        job = self.world.ports[stage].inside[0]
        match job.work:
            case AsrWork():
                return SILENCE if silent else HELLO
            case DiarizationWork():
                return TURNS
            case CorrectionWork(texts):
                return CorrectionResult((None,) * len(texts))
            case IngestWork():
                return FOUND

    @rule(session=st.sampled_from("ab"))
    def submit(self, session: str) -> None:
        self.world.submit(session)

    @rule(session=st.sampled_from("ab"))
    def begin_early(self, session: str) -> None:
        if self.world.dispatcher.takes_early_work:
            self.early.append(self.world.begin_early(session=session))

    @precondition(lambda self: self.early)
    @rule()
    def confirm(self) -> None:
        self.world.confirm(self.early.pop())

    @precondition(lambda self: self.early)
    @rule(keep=st.booleans())
    def withdraw(self, keep: bool) -> None:
        """It is no utterance, or goes on: then what was kept of it is part of another."""
        begun = self.early.pop()
        self.world.dispatcher.withdraw(begun, begun.pieces[0] if keep else None)
        self.withdrawn.add(begun.sequence)
        if keep:
            self.world.served += 1
            whole = utterance(self.world.served, begun.session, (*begun.pieces, Piece(begun.audio, "firm")))
            self.world.dispatcher.submit(whole, self.world.client, self.world.now)

    @rule()
    def listen(self) -> None:
        if self.world.dispatcher.takes_live_work:
            piece = Piece(AudioHandle("arena", 0, 1, 0, 16_000), "live")
            self.world.dispatcher.listen(piece, utterance(0), self.world.client, self.world.now)
            self.listened += 1

    @precondition(lambda self: len(self.ingest) == self.examined)
    @rule()
    def examine(self) -> None:
        self.examined += 1
        self.world.dispatcher.examine(INGEST, self.ingest.append, self.world.now)

    @rule(stage=st.sampled_from(STAGES), engine=st.sampled_from(["real", "real", "none"]))
    def up(self, stage: StageName, engine: str) -> None:
        if not self.world.ports[stage].up:
            self.world.up(stage, engine if stage in self.OPTIONAL else "real")

    @rule(stage=st.sampled_from(STAGES), failed=st.booleans())
    def down(self, stage: StageName, failed: bool) -> None:
        self.world.down(stage, failed)

    @rule(stage=st.sampled_from(STAGES))
    def start(self, stage: StageName) -> None:
        if self.world.ports[stage].inside:
            self.world.start(stage)

    @rule(stage=st.sampled_from(STAGES), silent=st.booleans(), twice=st.booleans())
    def answer(self, stage: StageName, silent: bool, twice: bool) -> None:
        if self.world.ports[stage].inside:
            done = self.world.answer(stage, self.result_of(stage, silent))
            if twice:
                self.world.dispatcher.job_answered(stage, done, self.world.now)

    @rule(stage=st.sampled_from(STAGES), code=st.sampled_from(["ENGINE_FAILED", "INTERNAL_ERROR"]))
    def fail(self, stage: StageName, code: str) -> None:
        if self.world.ports[stage].inside:
            self.world.fail(stage, code)

    @rule(stage=st.sampled_from(STAGES))
    def answer_wrongly(self, stage: StageName) -> None:
        if self.world.ports[stage].inside:
            self.world.answer(stage, IngestResult(()))

    @rule(seconds=st.sampled_from([0.5, 4.0, 20.0, 130.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @invariant()
    def nothing_is_settled_twice(self) -> None:
        assert len(set(self.world.settled)) == len(self.world.settled)
        assert len(self.ingest) <= self.examined

    @invariant()
    def stages_are_not_overrun(self) -> None:
        assert all(len(port.inside) <= POLICY.credit for port in self.world.ports.values())

    def teardown(self) -> None:
        """When all stages live again and answer, everything is settled and nothing is left anywhere."""
        world = self.world
        for stage in STAGES:
            self.up(stage, "real")
        while any(port.inside for port in world.ports.values()):
            for stage in STAGES:
                self.answer(stage, silent=False, twice=False)
        uncertain = {begun.sequence for begun in self.early} | self.withdrawn
        assert sorted(world.settled) == [number for number in range(1, world.served + 1) if number not in uncertain]
        assert len(world.client.live) == self.listened
        assert len(self.ingest) == self.examined
        assert all(world.dispatcher.depth(stage) == 0 for stage in STAGES)


TestDays = Days.TestCase
TestDays.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
