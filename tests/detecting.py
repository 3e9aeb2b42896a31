"""A voice activity detector at work on one stream."""

from ipc.audio_handle import Audio
from stages.ingest.vad import Vad


def probabilities(detector: Vad, samples: Audio, memory: bytes) -> tuple[list[float], bytes]:
    """Of the next samples of a stream, and what is remembered after them."""
    ((found, after),) = detector.probabilities([(samples, memory)])
    return found, after
