"""Stretches of recordings, to be played."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.formats.audio_files import reading

Sound = NDArray[np.float32]


async def clips(wanted: Sequence[tuple[Path, float, float]]) -> list[Sound]:
    """wanted: file, start, end in seconds. Mono at SAMPLE_RATE. Each file is read once; what is wanted of it is
    kept. Raises MediaError."""
    found = [np.zeros(0, np.float32)] * len(wanted)
    by_file: dict[Path, list[int]] = defaultdict(list)
    for number, (file, _, _) in enumerate(wanted):
        by_file[file].append(number)
    for file, numbers in by_file.items():
        at = 0
        async with reading(file, SAMPLE_RATE) as audio:
            async for chunk in audio.chunks():
                for number in numbers:
                    first, last = (round(seconds * SAMPLE_RATE) - at for seconds in wanted[number][1:])
                    part = chunk[max(0, first) : max(0, last)]
                    found[number] = np.concatenate([found[number], part])
                at += len(chunk)
    return found
