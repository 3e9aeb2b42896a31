"""Run as `python -m stages.process.probe`: prints as one line of JSON what heavy packages and the driver find here.

A short-lived process of its own: the front never imports those packages, and a driver that hangs hangs only this.
Each part is looked at by itself; what goes wrong in one is its `error`, and what to do its `fix`, where that is known.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from ipc import dll, gpu
from stages import offline
from stages.asr import cublas

Facts = dict[str, Any]


def main() -> None:
    """cuBLAS as recognition looks for it, so before torch, whose import may bring it into the process."""
    offline.confine()
    parts: dict[str, Callable[[], Facts | None]] = {
        "cards": lambda: {"found": gpu.cards()},
        "cublas": _cublas,
        "ctranslate2": _ctranslate2,
        "torch": _torch,
    }
    print(json.dumps({name: _safely(part) for name, part in parts.items()}))


def _safely(part: Callable[[], Facts | None]) -> Facts | None:
    try:
        return part()
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return {"error": said, **({"fix": dll.INSTALL} if dll.why(error) else {})}


def _cublas() -> Facts | None:
    """None where there is no CUDA at all."""
    name = cublas.LIBRARIES.get(sys.platform)
    if name is None:
        return None
    cublas.make_findable()
    ctypes.CDLL(name)
    return {"library": name, "found": str(cublas.find() or "where the system has it")}


def _ctranslate2() -> Facts:
    import ctranslate2

    devices = ctranslate2.get_cuda_device_count()
    types = ctranslate2.get_supported_compute_types("cuda") if devices else ()
    return {"version": ctranslate2.__version__, "devices": devices, "compute_types": sorted(types)}


def _torch() -> Facts | None:
    """None where it is not installed. cuda: the version it was built for, None for a CPU build."""
    if find_spec("torch") is None:
        return None
    import torch

    available = torch.cuda.is_available()
    device = torch.cuda.get_device_name(0) if available else None
    return {"version": torch.__version__, "cuda": torch.version.cuda, "available": available, "device": device}


if __name__ == "__main__":
    main()
