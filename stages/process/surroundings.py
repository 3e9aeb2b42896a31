"""What a worker needs around it, whoever started its process."""

from typing import Protocol

from ipc.audio_handle import Audio, AudioHandle
from ipc.messages import FromStage, GpuMemory, StageName


class Reports(Protocol):
    """Where a worker says how it is, and hears which jobs nobody needs any more."""

    gpu: GpuMemory | None
    """What heartbeats say of GPU memory."""

    def report(self, message: FromStage) -> None: ...

    def was_cancelled(self, job_id: int) -> bool: ...


class Source(Protocol):
    """Where a worker has its audio from, and notes what is known of its job even if it is killed."""

    def read(self, handle: AudioHandle) -> Audio:
        """float32 [count], the reader's own. Raises StaleHandle."""

    def mark(self, stage: StageName, replica: int, job_id: int) -> None: ...

    def progressed(self, stage: StageName, replica: int) -> None: ...
