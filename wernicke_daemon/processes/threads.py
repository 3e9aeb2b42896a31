"""How many threads the libraries of each stage may use, and that these do not spin. Pure, but for the count of CPUs.

Left alone, each library of each stage starts a thread for every CPU (OpenMP in PyTorch and CTranslate2, OpenBLAS in
numpy), which turns while it waits for the others. Where another thread has the CPU that one of them needs, all turn
for as long as it is away: work of 3 s took more than 200 s (docs/performance.md).
"""

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

import psutil

from ipc.messages import STAGES, StageName
from ipc.settings import StageSettings

WAITING = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
}
"""OpenMP's threads sleep while they wait. The first is the standard's, the others are GNU's and Intel's own, who do not
take all of it from that; Intel's is PyTorch's on Windows, and CTranslate2's."""

DUPLICATES = {"KMP_DUPLICATE_LIB_OK": "TRUE"} if sys.platform == "win32" else {}
"""On Windows CTranslate2 and PyTorch each bring a libiomp5md.dll of their own. The second one in a process ends it
("OMP: Error #15"), but for this; recognition with times of words has both."""

COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def cores() -> int:
    """That this process may use; those of hyper-threading are no cores of their own."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def shares(
    settings: StageSettings, cores: int, replicas: Mapping[StageName, int] = MappingProxyType({})
) -> dict[StageName, int]:
    """Threads of each replica, by stage. replicas: how many of each are at work side by side here.

    Recognition and diarization, which are, too, have the cores between them; where there are more than two, one of them
    is left to all else. Ingest uses one by design, correction waits for a server."""
    found: dict[StageName, int] = dict.fromkeys(STAGES, 1)
    most = max(1, cores - 1 if cores > 2 else cores)
    alone = settings.diarization.engine == "none"
    several = replicas.get("asr", 1)
    found["asr"] = settings.asr.cpu_threads or max(1, (most if alone else (most + 1) // 2) // several)
    found["diarization"] = max(1, (most - found["asr"] * several) // replicas.get("diarization", 1))
    return found


def variables(threads: int) -> dict[str, str]:
    """For the environment of a stage with so many. What somebody has set there already stands."""
    return {**WAITING, **DUPLICATES, **dict.fromkeys(COUNTS, str(threads))}
