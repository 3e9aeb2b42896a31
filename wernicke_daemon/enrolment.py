"""A voiceprint from recordings of one person: a diarization stage of its own hears them, whether a daemon runs or not.

Nothing is recognised or written down. The engine is the one that a daemon with the same settings uses, as a voiceprint
says something to its own embedding model alone.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import numpy as np
from msgspec.structs import replace

from ipc.arena import Arena, RingWriter
from ipc.audio_handle import SAMPLE_RATE
from ipc.errors import WernickeError
from ipc.messages import DiarizationResult, DiarizationWork, Done, Failed, Job, StageName
from wernicke_daemon.backend import supervisor_of
from wernicke_daemon.config.schema import Config, ReplicasSettings, stage_settings
from wernicke_daemon.dispatch.stage_port import StagePort
from wernicke_daemon.formats.sample_track import Mono
from wernicke_daemon.processes import process_tree
from wernicke_daemon.utterances.voiceprints import Heard, Voiceprint
from wernicke_daemon.utterances.voices import Voices

ENOUGH_S = 5.0
"""Seconds of clean speech that a voiceprint is made of at least."""

OTHERS_S, OTHERS_SHARE = 2.0, 0.15
"""What others may say: so many seconds, or that share of all speech. Less of it may be one person's laugh or cough."""

JOB_S = 30.0
"""Seconds of audio that are diarized at once, as the longest utterances are."""

_PART = round(JOB_S * SAMPLE_RATE)
_STAGE: StageName = "diarization"


class CanNotEnrol(WernickeError):
    """No voiceprint can be made of that."""


class _Answers:
    """A StageListener for one job at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[Done | Failed] | None = None  # to the job that is out

    def replica_up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None: ...
    def replica_loading(self, stage: StageName, replica: int, now: float) -> None: ...
    def replica_slow(self, stage: StageName, replica: int, slow: bool) -> None: ...
    def replica_unloaded(self, stage: StageName, replica: int, now: float) -> None: ...
    def job_started(self, stage: StageName, replica: int, job_id: int) -> None: ...

    def replica_down(self, stage: StageName, replica: int, failed: bool, now: float) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(CanNotEnrol("The diarization process ended amid its work; try it again."))

    def job_answered(self, stage: StageName, replica: int, answer: Done | Failed, now: float) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    async def of(self, port: StagePort, job: Job) -> DiarizationResult:
        """Raises CanNotEnrol."""
        self._answer = asyncio.get_running_loop().create_future()
        port.send(job, 0)
        match await self._answer:
            case Done(result=DiarizationResult() as result):
                return result
            case Failed(reason=reason):
                raise CanNotEnrol(f"Diarization failed: {reason}.")
        raise CanNotEnrol("Diarization gave the answer to another question.")


async def voiceprint(name: str, config: Config, audio: AsyncIterable[Mono]) -> Voiceprint:
    """config: with its profile applied. audio: 16 kHz. Raises CanNotEnrol, StartFailed, and what `audio` does."""
    if config.diarization.engine == "none":
        raise CanNotEnrol('diarization.engine is "none": nothing tells one voice from another. Set another engine.')
    voices, model = Voices(), ""
    async with _diarizing(config) as (port, answers, ring):
        async for number, samples in _parts(audio):
            ring.raise_floor(ring.written)
            ring.append(samples)
            work = DiarizationWork(ring.handle(ring.floor, ring.written))
            result = await answers.of(port, Job(number, work, _limit_s(config)))
            model = result.model
            voices.hear(result.pieces, result.same_voice, model)
    voice = only_voice(voices.heard(), name)
    return Voiceprint.of(name, model, voice.mean, voice.seconds)


def _limit_s(config: Config) -> float:
    return config.runtime.job_timeout_s + JOB_S * config.runtime.job_timeout_per_audio_s


@asynccontextmanager
async def _diarizing(config: Config) -> AsyncIterator[tuple[StagePort, _Answers, RingWriter]]:
    """A diarization stage that is ready. Raises StartFailed."""
    process_tree.adopt_current_process()
    alone = replace(config, replicas=ReplicasSettings())
    arena, answers = Arena(1, _PART), _Answers()
    supervisor = supervisor_of(alone, stage_settings(alone), arena, answers, lambda *_: None, (_STAGE,))
    try:
        await supervisor.start()
        ring = arena.acquire()
        assert ring is not None
        yield supervisor.ports[_STAGE], answers, ring
    finally:
        await supervisor.stop()
        arena.close()


async def _parts(audio: AsyncIterable[Mono]) -> AsyncIterator[tuple[int, Mono]]:
    """Numbered from 1, of JOB_S each; the last one shorter."""
    number, kept = 1, list[Mono]()
    async for samples in audio:
        kept.append(samples)
        if sum(map(len, kept)) >= _PART:
            whole = np.concatenate(kept)
            yield number, whole[:_PART]
            number, kept = number + 1, [whole[_PART:]]
    if sum(map(len, kept)):
        yield number, np.concatenate(kept)


def only_voice(heard: Mapping[str, Heard], name: str) -> Heard:
    """The one that speaks. heard: all that there are. Raises CanNotEnrol where it does not say enough, or where others
    speak, too."""
    seconds = sorted((voice.seconds for voice in heard.values()), reverse=True)
    others_s = sum(seconds[1:])
    if others_s >= OTHERS_S and others_s >= OTHERS_SHARE * sum(seconds):
        parts = " s, ".join(f"{part:.0f}" for part in seconds)
        raise CanNotEnrol(f"{len(seconds)} voices speak ({parts} s); give recordings in which only {name} speaks.")
    if not seconds or seconds[0] < ENOUGH_S:
        raise CanNotEnrol(
            f"There are {seconds[0] if seconds else 0.0:.1f} s of clear speech; {ENOUGH_S:.0f} s are needed. "
            f"Give longer recordings of {name}, or more of them."
        )
    return max(heard.values(), key=lambda voice: voice.seconds)
