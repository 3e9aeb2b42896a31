"""The ingest stage: one job carries the news of all sessions; what a session is made of travels with its task.

A session's state is a SessionState in msgpack (up to about 2 KB): the endpointer's and the detector's. The same
task gives the same outcome in any process, so a job that died with its stage is simply sent again.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

import msgspec
import numpy as np

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, AudioHandle
from ipc.errors import EngineUnavailable, StaleHandle
from ipc.messages import Boundary, IngestOutcome, IngestResult, IngestTask, IngestWork, StageName, Work
from ipc.settings import StageSettings
from stages.engine import ReadAudio
from stages.ingest import endpointing
from stages.ingest.endpointing import Endpointing
from stages.ingest.vad import EnergyVad, SileroVad, Vad

PIECE = 30 * SAMPLE_RATE // VAD_WINDOW * VAD_WINDOW
"""Samples examined at once, of one stream or of several: whole windows, at most 30 s, so that a whole file in one task
needs little memory."""


class SessionState(msgspec.Struct, frozen=True, array_like=True):
    endpointing: Endpointing
    memory: bytes


class _Hearing:
    """A task under way: how far it has come, and what was found so far. lost: samples given up before its audio.
    stale: its audio is gone."""

    def __init__(self, task: IngestTask, state: SessionState) -> None:
        self.task = task
        self.before = state
        state, self.lost = _over_gap(state, task.audio.start)
        self.endpointing, self.memory = state.endpointing, state.memory
        self.found: list[Boundary] = []
        self.stale = False


class _Ingest:
    """What both engines share; `idle_s` of a task is time after its audio."""

    name: str  # registry name

    def __init__(self, vad: Vad, settings: StageSettings) -> None:
        self.model = vad.model  # what `models_used` shows
        self._vad = vad  # gives windows their speech probability
        self._rules = endpointing.rules_from(settings.vad)  # where utterances end
        self._decoder = msgspec.msgpack.Decoder(SessionState)  # of a session's state, as tasks bring it
        self._encoder = msgspec.msgpack.Encoder()  # the same, as outcomes take it along

    def load(self) -> None:
        self._vad.load()

    def warm_up(self) -> None:
        """One second of noise, as silence would not get past the gate."""
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, SAMPLE_RATE).astype(np.float32)
        handle = AudioHandle(arena="", slot=0, generation=0, start=0, count=SAMPLE_RATE)
        task = IngestTask(session="", audio=handle, state=b"", end="stop", idle_s=0.0)
        try:
            self.process(IngestWork((task,)), lambda part: noise[part.start : part.end])
        except Exception as error:
            raise EngineUnavailable(
                f"ingest engine {self.name!r} failed on one second of noise ({error}); "
                "install this program's packages again"
            ) from error

    def process(self, work: Work, read_audio: ReadAudio) -> IngestResult:
        """A task whose audio is gone gets a stale outcome; the others are not affected."""
        assert isinstance(work, IngestWork)
        hearings = [_Hearing(task, self._state(task)) for task in work.tasks]
        for pieces in _at_once(hearings):
            self._hear(pieces, read_audio)
        return IngestResult(tuple(map(self._outcome, hearings)))

    def close(self) -> None:
        """There is nothing to free."""

    def _state(self, task: IngestTask) -> SessionState:
        if task.state:
            return self._decoder.decode(task.state)
        return SessionState(endpointing.begin(task.audio.start), b"")

    def _hear(self, pieces: Sequence[tuple[_Hearing, AudioHandle]], read_audio: ReadAudio) -> None:
        """The next piece of each of several tasks."""
        heard = []
        for hearing, piece in pieces:
            try:
                heard.append((hearing, piece.count, (read_audio(piece), hearing.memory)))
            except StaleHandle:
                hearing.stale = True
        verdicts = self._vad.probabilities([piece for _, _, piece in heard])
        for (hearing, count, _), (probabilities, hearing.memory) in zip(heard, verdicts, strict=True):
            hearing.endpointing, closed = endpointing.hear(hearing.endpointing, self._rules, count, probabilities)
            hearing.found += closed

    def _outcome(self, hearing: _Hearing) -> IngestOutcome:
        """Where the audio is gone, what was found in it before is found by nobody."""
        task = hearing.task
        if hearing.stale:
            return IngestOutcome(
                session=task.session,
                examined_to=task.audio.end,
                retain_from=task.audio.end,
                state=task.state,
                boundaries=(),
                speaking=hearing.before.endpointing.utterance is not None,
                stale=True,
            )
        current, closed = self._end(hearing.endpointing, task)
        found = hearing.found + closed
        kept = tuple(boundary for boundary in found if endpointing.enough_speech(boundary, self._rules))
        dropped = _samples_in(found) - _samples_in(kept)
        return IngestOutcome(
            session=task.session,
            examined_to=current.position,
            retain_from=endpointing.retain_from(current, self._rules),
            state=self._encoder.encode(SessionState(current, hearing.memory)),
            boundaries=kept,
            speaking=current.utterance is not None,
            dropped_samples=hearing.lost + dropped,
            open=endpointing.so_far(current, self._rules),
        )

    def _end(self, state: Endpointing, task: IngestTask) -> tuple[Endpointing, list[Boundary]]:
        """Silence that was long enough already ends an utterance before the client's own request does."""
        state, found = endpointing.wait(state, self._rules, task.idle_s)
        if task.end is not None:
            state, closed = endpointing.finish(state, self._rules, task.end)
            found = found + closed
        return state, found


class SileroIngest(_Ingest):
    name = "silero"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        super().__init__(SileroVad(settings.vad.threshold_db), settings)


class EnergyIngest(_Ingest):
    name = "energy"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        super().__init__(EnergyVad(settings.vad.threshold_db), settings)


def _samples_in(boundaries: Iterable[Boundary]) -> int:
    return sum(boundary.end - boundary.start for boundary in boundaries)


def _over_gap(state: SessionState, start: int) -> tuple[SessionState, int]:
    """Audio that went stale was skipped: an open utterance has lost its audio with it and is given up, and the
    session begins anew at `start`. Returns the samples given up, too."""
    utterance = state.endpointing.utterance
    if state.endpointing.position == start:
        return state, 0
    lost = state.endpointing.position - utterance.start if utterance else 0
    return SessionState(endpointing.begin(start), b""), lost


def _at_once(hearings: Sequence[_Hearing]) -> Iterator[list[tuple[_Hearing, AudioHandle]]]:
    """Pieces that are examined together: in order, at most one of each task, and PIECE samples in all."""
    together, room = list[tuple[_Hearing, AudioHandle]](), PIECE
    for pieces in zip_longest(*(_pieces(hearing.task) for hearing in hearings)):
        for hearing, piece in zip(hearings, pieces, strict=True):
            if piece is None or hearing.stale:
                continue
            if piece.count > room:
                yield together
                together, room = [], PIECE
            together.append((hearing, piece))
            room -= piece.count
        yield together
        together, room = [], PIECE


def _pieces(task: IngestTask) -> Iterator[AudioHandle]:
    """An incomplete window waits for its other samples unless none may come."""
    audio = task.audio
    nothing_follows = task.end is not None or task.idle_s > 0
    count = audio.count if nothing_follows else audio.count - audio.count % VAD_WINDOW
    for offset in range(0, count, PIECE):
        part = min(PIECE, count - offset)
        yield msgspec.structs.replace(audio, start=audio.start + offset, count=part)
