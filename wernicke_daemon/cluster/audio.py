"""Utterances' audio as objects of Ray: put once, however many actors are to read it."""

from collections import OrderedDict
from typing import Any

import ray

from ipc.arena import ArenaReader
from ipc.audio_handle import AudioHandle

KEPT = 8
"""Utterances. Recognition and diarization of one are asked for at once, and both again soon where an actor has died."""


class SharedAudio:
    """What was put last stays for those who ask next; Ray keeps what an actor still has to read."""

    def __init__(self, arena: ArenaReader) -> None:
        self._arena = arena
        self._put: OrderedDict[AudioHandle, Any] = OrderedDict()  # references to objects, the oldest first

    def of(self, handle: AudioHandle) -> Any:
        """A reference to its samples, float32 [count] at 16 kHz. Raises StaleHandle, also where they were put before:
        what is no longer kept is not to be worked on."""
        samples = self._arena.read(handle)
        if handle not in self._put:
            self._put[handle] = ray.put(samples)
            if len(self._put) > KEPT:
                self._put.popitem(last=False)
        return self._put[handle]
