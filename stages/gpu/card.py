"""Which of several graphics cards a stage process uses."""

import os

from ipc.messages import StageName
from ipc.settings import Device, StageSettings


def see_only(device: Device) -> None:
    """The card of that number is the only one for all libraries of this process, by the names of CUDA its first; to be
    called before any of them uses CUDA. Nothing where `device` has no number.

    So no library has to be told, and none puts a part of its work on another card because it was not. The order is that
    of nvidia-smi; CUDA's own puts the fastest first.
    """
    if ":" in device:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = device.partition(":")[2]


def of(stage: StageName, settings: StageSettings) -> Device:
    """Where that stage's models are to run."""
    return {"asr": settings.asr.device, "diarization": settings.diarization.device}.get(stage, "auto")
