"""Whatever happens in whatever order, every utterance is settled exactly once."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ipc.audio_handle import AudioHandle
from ipc.messages import (
    STAGES,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationWork,
    IngestResult,
    IngestWork,
    Result,
    StageName,
)
from tests.unit.dispatcher.world import FOUND, HELLO, INGEST, POLICY, SILENCE, TURNS, World, utterance
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.utterance import Utterance


class Days(RuleBasedStateMachine):
    """Stages die, fail, dawdle and come back in any order."""

    OPTIONAL = ("diarization", "correction")
    REPLICAS = 1

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.REPLICAS)
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
        """All that is not."""
        for replica in self.world.replicas(stage):
            if replica not in self.world.ports[stage].up:
                self.world.replica_up(stage, replica, engine if stage in self.OPTIONAL else "real")

    @rule(stage=st.sampled_from(STAGES), failed=st.booleans())
    def down(self, stage: StageName, failed: bool) -> None:
        self.world.down(stage, failed)

    @rule(stage=st.sampled_from(STAGES), number=st.integers(0, 2), failed=st.booleans(), at_once=st.booleans())
    def one_down(self, stage: StageName, number: int, failed: bool, at_once: bool) -> None:
        """One replica, which may be back at once, or load."""
        replica = number % len(self.world.replicas(stage))
        self.world.replica_down(stage, replica, failed)
        if at_once:
            self.world.replica_up(stage, replica)
        else:
            self.world.dispatcher.replica_loading(stage, replica, self.world.now)

    @rule(stage=st.sampled_from(STAGES))
    def start(self, stage: StageName) -> None:
        if self.world.ports[stage].inside:
            self.world.start(stage)

    @rule(stage=st.sampled_from(STAGES), silent=st.booleans(), twice=st.booleans())
    def answer(self, stage: StageName, silent: bool, twice: bool) -> None:
        if self.world.ports[stage].inside:
            done = self.world.answer(stage, self.result_of(stage, silent))
            if twice:
                self.world.say(stage, done)

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
        assert all(len(port.at(replica)) <= POLICY.credit for port in self.world.ports.values() for replica in port.up)

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


@pytest.mark.parametrize("replicas", [1, 3])
def test_every_utterance_is_settled_once(replicas: int) -> None:
    machine = type("DaysOfReplicas", (Days,), {"REPLICAS": replicas})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
