"""The ingest engines: whole tasks in, outcomes out, with audio of a session kept in memory instead of an arena."""

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, Audio, AudioHandle
from ipc.errors import EngineUnavailable, StaleHandle
from ipc.messages import Boundary, IngestOutcome, IngestTask, IngestWork, Trigger
from ipc.settings import StageSettings, VadSettings
from stages.ingest.endpointing import WHISPER_SAMPLES
from stages.ingest.engine import PIECE, EnergyIngest, SessionState, SileroIngest
from stages.ingest.vad import SileroMemory, SileroVad
from stages.process.engine_registry import create
from tests.detecting import probabilities

MEETINGS = Path(__file__).parents[3] / "shared" / "audio"
ENERGY = EnergyIngest("ingest", StageSettings())


def noise(seconds: float, seed: int = 0) -> Audio:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)


def silence(seconds: float) -> Audio:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


class Session:
    """A session as the front keeps it: all samples received, and what the last outcome said."""

    def __init__(self, engine: EnergyIngest | SileroIngest, name: str = "a") -> None:
        self.engine, self.name = engine, name
        self.received = np.zeros(0, np.float32)
        self.floor, self.examined_to, self.state = 0, 0, b""
        self.boundaries: list[Boundary] = []

    def read(self, handle: AudioHandle) -> Audio:
        assert handle.count <= 30 * SAMPLE_RATE
        if handle.start < self.floor or handle.end > len(self.received):
            raise StaleHandle("gone")
        return self.received[handle.start : handle.end].copy()

    def task(self, samples: Audio, end: Trigger | None = None, idle_s: float = 0.0) -> IngestTask:
        self.received = np.concatenate([self.received, samples])
        count = len(self.received) - self.examined_to
        audio = AudioHandle(arena="x", slot=0, generation=1, start=self.examined_to, count=count)
        return IngestTask(session=self.name, audio=audio, state=self.state, end=end, idle_s=idle_s)

    def commit(self, outcome: IngestOutcome) -> IngestOutcome:
        assert outcome.session == self.name
        self.examined_to, self.state = outcome.examined_to, outcome.state
        self.floor = outcome.retain_from
        self.boundaries += outcome.boundaries
        return outcome

    def send(self, samples: Audio, end: Trigger | None = None, idle_s: float = 0.0) -> IngestOutcome:
        task = self.task(samples, end, idle_s)
        return self.commit(self.engine.process(IngestWork((task,)), self.read).outcomes[0])


@pytest.fixture(scope="module")
def silero() -> SileroIngest:
    engine = SileroIngest("ingest", StageSettings())
    engine.load()
    engine.warm_up()
    return engine


def test_thirty_seconds_of_noise_trigger() -> None:
    """Energy: sound without a pause is cut at 30 s at most, and the rest stays open."""
    outcome = Session(ENERGY).send(noise(30.0))
    assert [b.trigger for b in outcome.boundaries] == ["max_duration"]
    assert 25 * SAMPLE_RATE <= outcome.boundaries[0].end <= WHISPER_SAMPLES
    assert outcome.speaking
    assert outcome.retain_from == outcome.boundaries[0].end


def test_two_seconds_of_digital_silence_trigger() -> None:
    """Energy: 2 s of received zeros end the utterance at the end of sound and the post-roll."""
    session = Session(ENERGY)
    assert session.send(noise(3.0)).speaking
    outcome = session.send(silence(2.1))
    assert [b.trigger for b in outcome.boundaries] == ["silence"]
    last = outcome.boundaries[0].last_speech_end
    assert 0 <= last - 3 * SAMPLE_RATE < VAD_WINDOW
    assert outcome.boundaries[0].end == last + 4800
    assert not outcome.speaking


def test_two_seconds_without_audio_trigger() -> None:
    """Idle time reported tick by tick ends the utterance with every received sample in it."""
    session = Session(ENERGY)
    session.send(noise(1.01))
    reports = [session.send(silence(0), idle_s=0.25) for _ in range(8)]
    assert [len(report.boundaries) for report in reports] == [0] * 7 + [1]
    assert session.boundaries == [Boundary(0, 16160, "silence", 16160, 16160, ((0, 16160),))]


def test_an_incomplete_window_waits_for_its_samples() -> None:
    """What does not fill a window is examined with what comes next, or when nothing comes."""
    session = Session(ENERGY)
    assert session.send(noise(0.1)).examined_to == 3 * VAD_WINDOW
    assert session.send(noise(0.1)).examined_to == 6 * VAD_WINDOW
    assert session.send(silence(0), idle_s=0.05).examined_to == 3200


@pytest.mark.parametrize("end", ["flush", "stop", "disconnect"])
def test_an_end_ends_the_open_utterance_now(end: Trigger) -> None:
    """Flush, stop and disconnect: everything received is examined and the utterance closed with that trigger."""
    session = Session(ENERGY)
    outcome = session.send(noise(1.01), end=end)
    assert outcome.boundaries == (Boundary(0, 16160, end, 16160, 16160, ((0, 16160),)),)
    assert outcome.examined_to == 16160
    assert not outcome.speaking
    assert session.send(silence(0), end=end).boundaries == ()


def test_silence_alone_is_no_utterance() -> None:
    """Ten seconds of zeros and a flush: nothing found, and only the pre-roll retained."""
    outcome = Session(ENERGY).send(silence(10.0), end="flush")
    assert (outcome.boundaries, outcome.dropped_samples, outcome.speaking) == ((), 0, False)
    assert outcome.retain_from == 10 * SAMPLE_RATE - 4800


def test_a_click_is_dropped_and_counted() -> None:
    """Less speech than min_speech_s is no utterance; its samples are counted."""
    outcome = Session(ENERGY).send(np.concatenate([silence(1.024), noise(0.05), silence(3.0)]))
    assert outcome.boundaries == ()
    assert outcome.dropped_samples == 4800 + 2 * VAD_WINDOW + 4800


def test_a_whole_file_in_one_task_gives_all_its_utterances() -> None:
    """One frame of 100 s: read in pieces, every utterance found."""
    talk = [np.concatenate([noise(7.0, seed), silence(3.0)]) for seed in range(10)]
    outcome = Session(ENERGY).send(np.concatenate(talk))
    assert [b.trigger for b in outcome.boundaries] == ["silence"] * 10
    assert all(6.9 < b.speech_samples / SAMPLE_RATE < 7.1 for b in outcome.boundaries)


def test_pieces_are_whole_windows_of_at_most_thirty_seconds() -> None:
    """A piece's end must not break the grid of windows."""
    assert PIECE % VAD_WINDOW == 0
    assert PIECE <= 30 * SAMPLE_RATE


def test_sessions_in_one_job_do_not_mix() -> None:
    """Two sessions, one speaking and one silent: each gets its own outcome, in order."""
    loud, quiet = Session(ENERGY, "loud"), Session(ENERGY, "quiet")
    work = IngestWork((loud.task(noise(1.0)), quiet.task(silence(1.0))))
    audio = {0: loud, 1: quiet}
    tasks = tuple(
        msgspec.structs.replace(task, audio=msgspec.structs.replace(task.audio, slot=slot))
        for slot, task in enumerate(work.tasks)
    )
    result = ENERGY.process(IngestWork(tasks), lambda handle: audio[handle.slot].read(handle))
    assert [(outcome.session, outcome.speaking) for outcome in result.outcomes] == [
        ("loud", True),
        ("quiet", False),
    ]


def test_stale_audio_of_one_session_leaves_the_others_alone() -> None:
    """Audio that is gone: skipped, said so, state unchanged; the other session's outcome is as ever."""
    gone, fine = Session(ENERGY, "gone"), Session(ENERGY, "fine")
    gone.send(noise(1.0))
    task = gone.task(noise(40.0))
    gone.floor = 10 * SAMPLE_RATE

    def read(handle: AudioHandle) -> Audio:
        return (gone if handle == msgspec.structs.replace(task.audio, count=handle.count) else fine).read(handle)

    outcomes = ENERGY.process(IngestWork((task, fine.task(noise(1.0), end="stop"))), read).outcomes
    end = task.audio.end
    assert outcomes[0] == IngestOutcome("gone", end, end, task.state, (), speaking=True, stale=True)
    assert [b.trigger for b in outcomes[1].boundaries] == ["stop"]


def test_after_stale_audio_the_session_begins_anew() -> None:
    """The open utterance has lost its audio: it is given up and counted, and the next begins behind the gap."""
    session = Session(ENERGY)
    session.send(noise(1.024))
    task = session.task(noise(2.0))
    session.floor = len(session.received)
    session.commit(ENERGY.process(IngestWork((task,)), session.read).outcomes[0])
    outcome = session.send(noise(1.0), end="stop")
    assert outcome.dropped_samples == 32 * VAD_WINDOW
    assert [(b.start, b.end) for b in outcome.boundaries] == [(task.audio.end, task.audio.end + SAMPLE_RATE)]


def test_the_same_task_again_gives_the_same_outcome() -> None:
    """A job that died with its stage is sent again, to an engine that knows nothing of it."""
    session = Session(ENERGY)
    session.send(noise(7.0))
    task = session.task(np.concatenate([noise(28.3), silence(2.5), noise(1.0)]), idle_s=0.1)
    first = ENERGY.process(IngestWork((task,)), session.read)
    again = EnergyIngest("ingest", StageSettings()).process(IngestWork((task,)), session.read)
    assert first == again
    assert first.outcomes[0].boundaries != ()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.01, 4.0)), min_size=1, max_size=6),
    st.lists(st.integers(300, 40_000), min_size=1, max_size=5),
)
def test_any_split_into_tasks_gives_the_same_boundaries(parts: list[tuple[bool, float]], sizes: list[int]) -> None:
    """Sound and silence of any length in frames of any size: the boundaries of the whole in one task."""
    audio = np.concatenate([noise(length) if sound else silence(length) for sound, length in parts])
    engine = EnergyIngest("ingest", StageSettings(vad=VadSettings(max_utterance_s=5.0)))
    whole, split = Session(engine), Session(engine)
    whole.send(audio)
    whole.send(silence(0), end="stop")
    start, turn = 0, 0
    while start < len(audio):
        split.send(audio[start : start + sizes[turn % len(sizes)]])
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    split.send(silence(0), end="stop")
    assert split.boundaries == whole.boundaries
    assert split.examined_to == len(audio)


def test_silero_does_not_take_noise_for_speech(silero: SileroIngest) -> None:
    """White noise passes the gate and is no utterance."""
    assert Session(silero).send(noise(10.0), end="stop").boundaries == ()


def test_silero_memory_travels_from_task_to_task(silero: SileroIngest) -> None:
    """The network's memory after 40 s is that of one undisturbed run, over tasks and over pieces of one task."""
    audio = noise(40.0)
    detector = SileroVad(-85.0)
    detector.load()
    straight = recurrent_state(probabilities(detector, audio[: 40 * SAMPLE_RATE // VAD_WINDOW * VAD_WINDOW], b"")[1])
    whole, split = Session(silero), Session(silero)
    whole.send(audio)
    for part in np.array_split(audio, 37):
        split.send(part)
    for session in (whole, split):
        memory = msgspec.msgpack.decode(session.state, type=SessionState).memory
        np.testing.assert_allclose(recurrent_state(memory), straight, atol=1e-5)


def recurrent_state(memory: bytes) -> Audio:
    return np.frombuffer(msgspec.msgpack.decode(memory, type=SileroMemory).h, np.float32)


def test_the_state_stays_small(silero: SileroIngest) -> None:
    """What travels with every task, also while a place to cut is sought, is under 2 KB."""
    fast = EnergyIngest("ingest", StageSettings())
    session = Session(fast)
    energy = max(len(session.send(noise(1.0)).state) for _ in range(60))
    heard = len(Session(silero).send(noise(1.0)).state)
    assert energy + heard < 2048


def test_the_registry_makes_both_engines() -> None:
    """Names of config.toml lead here, and nothing heavy happens before load()."""
    for name in ("silero", "energy"):
        engine = create("ingest", name, StageSettings(vad=VadSettings()))
        assert engine.name == name
        engine.load()
        engine.warm_up()
        assert engine.model
        engine.close()


def test_a_failing_warm_up_says_what_to_do() -> None:
    """A detector that does not work is found before the first client."""
    engine = SileroIngest("ingest", StageSettings())
    with pytest.raises(EngineUnavailable, match="install this program's packages again"):
        engine.warm_up()


def meeting(name: str) -> Audio:
    if not MEETINGS.exists():
        pytest.skip("the recorded meeting excerpts are not at ../shared/audio")
    audio: Audio = wavfile.read(MEETINGS / f"{name}.wav")[1].astype(np.float32)
    return audio


@pytest.mark.speech
def test_meetings_give_the_same_utterances_in_ticks_as_whole(silero: SileroIngest) -> None:
    """Three excerpts in a row through Silero: frames of 20 to 200 ms find what one frame finds."""
    audio = np.concatenate([meeting("trn02"), meeting("dev00"), silence(3.0), meeting("dev01")])
    whole, ticks = Session(silero), Session(silero)
    whole.send(audio)
    whole.send(silence(0), end="stop")
    order = random.Random(1)
    start = 0
    while start < len(audio):
        size = order.randrange(320, 3200)
        ticks.send(audio[start : start + size])
        start += size
    ticks.send(silence(0), end="stop")
    assert len(whole.boundaries) >= 3
    assert ticks.boundaries == whole.boundaries


@pytest.mark.speech
@pytest.mark.parametrize("name", ["trn03", "dev00", "dev01"])
def test_most_marked_speech_lies_in_utterances(silero: SileroIngest, name: str) -> None:
    """Against who really speaks when: utterances hold most of the marked speech."""
    audio = meeting(name)
    session = Session(silero)
    session.send(audio, end="stop")
    marked, found = np.zeros(len(audio), bool), np.zeros(len(audio), bool)
    for line in (MEETINGS / "ami.rttm").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[1] == name:
            start = round(float(fields[3]) * SAMPLE_RATE)
            marked[start : start + round(float(fields[4]) * SAMPLE_RATE)] = True
    for boundary in session.boundaries:
        found[boundary.start : boundary.end] = True
    assert (marked & found).sum() > 0.75 * marked.sum()
