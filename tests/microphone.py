"""A stand-in for sounddevice whose one microphone plays samples as fast as they are spoken."""

import asyncio
import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PortAudioError(Exception):
    pass


def playing(
    frames: NDArray[np.float32], rate: int, accepts: tuple[tuple[int, int], ...], over: asyncio.Event | None = None
) -> ModuleType:
    """frames: shape [n, channels] at `rate`. accepts: (rate, channels) that the device can be opened with. over: set
    when all was played; after that it is silent."""
    loop = asyncio.get_running_loop()

    class RawInputStream:
        def __init__(self, blocksize: int, callback: Callable[..., None], **options: Any) -> None:
            assert (options["samplerate"], options["channels"]) in accepts
            self.active = True
            self._thread = threading.Thread(target=self._play, args=(blocksize, callback))

        def _play(self, blocksize: int, callback: Callable[..., None]) -> None:
            began = time.monotonic()
            for at in range(0, len(frames) // blocksize * blocksize, blocksize):
                time.sleep(max(0.0, began + (at + blocksize) / rate - time.monotonic()))
                if not self.active:
                    return
                block = frames[at : at + blocksize].astype("<f4").tobytes()
                callback(block, blocksize, None, SimpleNamespace(input_overflow=False))
            if over is not None:
                loop.call_soon_threadsafe(over.set)

        def __enter__(self) -> "RawInputStream":
            self._thread.start()
            return self

        def __exit__(self, *_: object) -> None:
            self.active = False
            self._thread.join()

    def check_input_settings(index: int, channels: int, dtype: str, samplerate: int) -> None:
        if (samplerate, channels) not in accepts:
            raise PortAudioError("Invalid sample rate")

    device = {
        "index": 3,
        "name": "Test Interface",
        "hostapi": 0,
        "max_input_channels": frames.shape[1],
        "default_samplerate": float(rate),
    }
    module = ModuleType("sounddevice")
    vars(module).update(
        PortAudioError=PortAudioError,
        RawInputStream=RawInputStream,
        check_input_settings=check_input_settings,
        query_devices=lambda kind=None: device if kind else [device],
        query_hostapis=lambda: [{"name": "Test System"}],
    )
    return module
