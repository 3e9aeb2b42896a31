"""What an engine must do to run in a stage process."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from ipc.audio_handle import Audio, AudioHandle
from ipc.messages import GpuMemory, Result, Work

ReadAudio = Callable[[AudioHandle], Audio]
"""Copies the samples of a handle out of shared memory. Raises StaleHandle."""

LOOK_S = 0.05
"""Between two looks at whether a job is still wanted, where its engine only waits for something."""


class Engine(Protocol):
    """One way to do a stage's work. Made with `StageSettings`; the constructor does nothing that can fail or is slow.

    name: as in the registry and in config.toml. model: what `models_used` shows, known after load().
    An engine keeps nothing of one job for the next: the same job gives the same result in a fresh process.
    """

    name: str
    model: str

    def load(self) -> None:
        """Import heavy packages and load the model. Raises EngineUnavailable with one sentence naming the way out."""

    def warm_up(self) -> None:
        """Do one small piece of real work, so that the first job is as fast as the next. Raises EngineUnavailable."""

    def process(self, work: Work, read_audio: ReadAudio) -> Result:
        """Do one job. Raises EngineFailed or any exception (the stage lives on), StaleHandle from `read_audio`."""

    def close(self) -> None:
        """Free what load() took. Called once, also after a failed load()."""


@runtime_checkable
class LiveEngine(Protocol):
    """An engine that says whether it takes live jobs; one that does not say takes none."""

    live: bool


@runtime_checkable
class StoppableEngine(Protocol):
    """What an engine can do besides whose jobs take long and can be left off on the way."""

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        """Told once, after warm_up() and before the first job. Asked between two parts of a job, or every LOOK_S where
        it waits; where it is true of the job under way, `process` raises JobCancelled."""


@runtime_checkable
class SteppingEngine(Protocol):
    """What an engine can do besides whose jobs have several parts."""

    def tell_progress(self, progressed: Callable[[], None]) -> None:
        """Told once, after warm_up() and before the first job. Called at the end of each part of a job that takes time:
        as long as it is, a job that takes long is no hang. Never where an engine only waits, and a bounded number of
        times a job."""


@runtime_checkable
class GpuEngine(Protocol):
    """What an engine that may run on a GPU can do besides."""

    def process_smaller(self, work: Work, read_audio: ReadAudio) -> Result:
        """`process` with half the batch, for a job that has just run out of GPU memory. Later jobs have it whole."""

    def release(self) -> None:
        """Give cached GPU memory back to the device."""

    def gpu_memory(self) -> GpuMemory | None:
        """What it holds now; None where it runs on the CPU."""
