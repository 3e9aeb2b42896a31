"""Errors that cross a process or reach a client; each carries the protocol's code for it."""


class WernickeError(Exception):
    """Base of all expected errors. `str(error)` is one plain sentence that says what to do."""

    code = "INTERNAL_ERROR"


class StaleHandle(WernickeError):
    """The audio behind a handle is no longer (or not yet) in the ring. The engine is not at fault."""

    code = "STALE_HANDLE"


class EngineUnavailable(WernickeError):
    """An engine can't be used here; the message names what to install or change."""

    code = "ENGINE_UNAVAILABLE"


class EngineFailed(WernickeError):
    """An engine failed on one job and stays usable for the next."""

    code = "ENGINE_FAILED"


class JobCancelled(WernickeError):
    """A job is no longer wanted; its answer is not looked at."""

    code = "CANCELLED"


class OutOfGpuMemory(WernickeError):
    """A job does not fit into GPU memory, even with half the batch; the stage is restarted."""

    code = "CUDA_OUT_OF_MEMORY"


def one_line(error: BaseException) -> str:
    """What it says, for a sentence of ours; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
