"""What the NVIDIA driver says of the first card. Under Windows' WDDM it has no figures per process."""

from typing import Any

import pynvml

MIB = 1024 * 1024


def figures() -> dict[str, Any] | None:
    """name, driver, total_mib, free_mib, utilisation_percent (None where the driver does not say, as of a part of a
    card); None without a card or driver."""
    try:
        card = _first_card()
        memory = pynvml.nvmlDeviceGetMemoryInfo(card)
        return {
            "name": str(pynvml.nvmlDeviceGetName(card)),
            "driver": str(pynvml.nvmlSystemGetDriverVersion()),
            "total_mib": int(memory.total) // MIB,
            "free_mib": int(memory.free) // MIB,
            "utilisation_percent": _utilisation(card),
        }
    except pynvml.NVMLError:
        return None


def free_mib() -> int | None:
    """Of the first card; None without a card or driver."""
    card = figures()
    return None if card is None else int(card["free_mib"])


def process_mib(pid: int) -> int | None:
    """Memory of one process on the first card; None where the driver does not say, or knows no such process."""
    try:
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(_first_card())
    except pynvml.NVMLError:
        return None
    used = next((process.usedGpuMemory for process in running if process.pid == pid), None)
    return None if used is None else int(used) // MIB


def _utilisation(card: Any) -> int | None:
    try:
        return int(pynvml.nvmlDeviceGetUtilizationRates(card).gpu)
    except pynvml.NVMLError:
        return None


def _first_card() -> Any:
    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(0)
