"""What the NVIDIA driver says of its cards. Under Windows' WDDM it has no figures per process."""

from typing import Any

import pynvml

MIB = 1024 * 1024


def number(device: str) -> int | None:
    """Of the card that such a device (see ipc.settings.Device) means, as nvidia-smi has it; None for "cpu"."""
    return None if device == "cpu" else int(device.partition(":")[2] or 0)


def figures(card: int = 0) -> dict[str, Any] | None:
    """Of the card of that number: name, driver, total_mib, free_mib, utilisation_percent (None where the driver does
    not say, as of a part of a card); None without such a card, or driver."""
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(card)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "name": str(pynvml.nvmlDeviceGetName(handle)),
            "driver": str(pynvml.nvmlSystemGetDriverVersion()),
            "total_mib": int(memory.total) // MIB,
            "free_mib": int(memory.free) // MIB,
            "utilisation_percent": _utilisation(handle),
        }
    except pynvml.NVMLError:
        return None


def cards() -> list[dict[str, Any]]:
    """`figures` of all, by number, up to the first that does not answer."""
    try:
        pynvml.nvmlInit()
        count = int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        count = 1
    found = []
    for card in range(count):
        if (one := figures(card)) is None:
            break
        found.append(one)
    return found


def free_mib(card: int = 0) -> int | None:
    """Of the card of that number; None without such a card, or driver."""
    found = figures(card)
    return None if found is None else int(found["free_mib"])


def process_mib(pid: int) -> int | None:
    """Memory of one process on all cards; None where the driver does not say, or knows no such process."""
    try:
        pynvml.nvmlInit()
        running = [
            process
            for card in range(pynvml.nvmlDeviceGetCount())
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByIndex(card))
        ]
    except pynvml.NVMLError:
        return None
    used = [process.usedGpuMemory for process in running if process.pid == pid]
    return None if not used or None in used else sum(map(int, used)) // MIB


def _utilisation(handle: Any) -> int | None:
    try:
        return int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except pynvml.NVMLError:
        return None
