"""Which language is spoken, where that is to be recognised. Pure."""

from collections.abc import Collection, Sequence

Probabilities = Sequence[tuple[str, float]]
"""Languages and their probabilities, likeliest first."""

SHORT_S = 3.0
"""Seconds of speech that do not change the language: Whisper tells it well from a sentence; from a word it is often
wrong, and sure of it."""


def pick(allowed: Collection[str], spoken: str, speech_s: float, probabilities: Probabilities) -> tuple[str, float]:
    """A language, and how probable it is among those allowed (empty for all). spoken: before, "" for not known.
    speech_s: seconds of speech. Raises ValueError where none of those allowed is among `probabilities`."""
    known = {language: share for language, share in probabilities if not allowed or language in allowed}
    if not known:
        raise ValueError(f"the model knows none of {allowed}")
    stays = speech_s < SHORT_S and spoken in known
    language = spoken if stays else max(known, key=lambda one: known[one])
    return language, known[language] / (sum(known.values()) or 1.0)
