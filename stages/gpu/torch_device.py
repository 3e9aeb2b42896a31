"""PyTorch's device and the memory that it holds there, for the engines that run on PyTorch.

A device is "cuda" or "cpu": a process sees one card (`card.py`). PyTorch is imported when it is first asked something,
not with this module: the modules of those engines can be imported where it is not installed, and nothing that is asked
about the CPU needs it.
"""

import gc
import os

from ipc import gpu
from ipc.errors import EngineUnavailable
from ipc.messages import GpuMemory
from ipc.settings import Device


def find(setting: str, wanted: Device) -> str:
    """ "cuda" or "cpu". setting: where `wanted` comes from, such as "alignment.device". Raises EngineUnavailable where
    CUDA is asked for and not there."""
    import torch

    found = torch.cuda.is_available()
    if wanted.startswith("cuda") and not found:
        raise EngineUnavailable(
            f'{setting} is "{wanted}" but PyTorch finds no such device: install the NVIDIA driver and a PyTorch with '
            f'CUDA (uv pip install --torch-backend=auto ".[gpu]"), or set {setting} = "cpu"'
        )
    return "cuda" if found and wanted != "cpu" else "cpu"


def release(device: str) -> None:
    """Give back what PyTorch keeps for later; does nothing on the CPU. Garbage is collected first: what cycles still
    hold is in use to PyTorch, and stays."""
    if device == "cuda":
        import torch

        gc.collect()
        torch.cuda.empty_cache()


def gpu_memory(device: str) -> GpuMemory | None:
    """What the whole process holds, in MiB, whichever of its models took it; None on the CPU."""
    if device != "cuda":
        return None
    import torch

    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    return GpuMemory(allocated // gpu.MIB, reserved // gpu.MIB, gpu.process_mib(os.getpid()))
