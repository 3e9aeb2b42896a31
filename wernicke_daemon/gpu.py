"""What the NVIDIA driver says of the first card. Device-wide: under Windows' WDDM it has no figures per process."""

from typing import Any

import pynvml

MIB = 1024 * 1024


def figures() -> dict[str, Any] | None:
    """name, total_mib, free_mib, utilisation_percent; None without a card or driver."""
    try:
        pynvml.nvmlInit()
        card = pynvml.nvmlDeviceGetHandleByIndex(0)
        memory = pynvml.nvmlDeviceGetMemoryInfo(card)
        return {
            "name": str(pynvml.nvmlDeviceGetName(card)),
            "total_mib": int(memory.total) // MIB,
            "free_mib": int(memory.free) // MIB,
            "utilisation_percent": int(pynvml.nvmlDeviceGetUtilizationRates(card).gpu),
        }
    except pynvml.NVMLError:
        return None
