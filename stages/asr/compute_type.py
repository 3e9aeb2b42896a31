"""Which type a Whisper model is computed with: the best that the device supports and has memory for. Pure."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ipc import vram
from ipc.gpu import MIB

STEPS = (*vram.COMPUTE_TYPES, "float32")
"""A type that won't do gives way to the next of these. float32 takes most memory, but there is no device without it."""
FILE_TYPE = "float16"
"""Of the weights in model.bin, as those on the hub are; a file of another type is estimated wrongly."""


class ComputeTypeChoice(NamedTuple):
    """needed_mib: GPU memory, None where that is not known. fits: into what is free, as far as is known."""

    compute_type: str
    needed_mib: int | None
    fits: bool


def choose(
    wanted: str, supported: Collection[str], needed_mib: Mapping[str, int], free_mib: int | None
) -> ComputeTypeChoice:
    """The wanted type, or the first after it that is supported and fits; the smallest where none fits.

    A type that is not among STEPS and not supported ("auto", a misspelt one) is left to CTranslate2 to judge.
    needed_mib: by type, empty on the CPU. free_mib: None where nobody can say, and on the CPU.
    """
    usable = [compute_type for compute_type in steps_from(wanted) if compute_type in supported] or [wanted]
    for compute_type in usable:
        needed = needed_mib.get(compute_type)
        if needed is None or free_mib is None or needed <= free_mib:
            return ComputeTypeChoice(compute_type, needed, True)
    smallest = min(usable, key=needed_mib.__getitem__)
    return ComputeTypeChoice(smallest, needed_mib[smallest], False)


def steps_from(wanted: str) -> tuple[str, ...]:
    return STEPS[STEPS.index(wanted) :] if wanted in STEPS else (wanted,)


def gpu_needs(model: str, file_bytes: int) -> dict[str, int]:
    """GPU memory in MiB by type, the CUDA context included; what it is for an unknown model is told by its model.bin.

    model: as in asr.model. file_bytes: of its model.bin.
    """
    file_mib = file_bytes / MIB / vram.BYTES[FILE_TYPE]
    return {
        compute_type: vram.CUDA_CONTEXT
        + (vram.whisper(model, compute_type) or vram.WHISPER_WORK + round(file_mib * bytes_each))
        for compute_type, bytes_each in vram.BYTES.items()
    }
