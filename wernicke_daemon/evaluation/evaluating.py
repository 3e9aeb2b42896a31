"""A configuration judged by recordings: run, measured, put together."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from wernicke_daemon.config.schema import Config
from wernicke_daemon.evaluation import diarization
from wernicke_daemon.evaluation.measures import Counts, Heard, count, heard_speech
from wernicke_daemon.evaluation.pairing import Pair
from wernicke_daemon.evaluation.reference import Reference, read
from wernicke_daemon.evaluation.running import played
from wernicke_daemon.evaluation.scoring import Unit, unit_of


class Judged(NamedTuple):
    """One recording."""

    recording: Path
    reference: Reference
    heard: Heard
    unit: Unit
    counts: Counts


class Evaluation(NamedTuple):
    """name: of the settings. models: what took part, by purpose, as the results say."""

    name: str
    judged: tuple[Judged, ...]
    models: dict[str, str]

    @property
    def total(self) -> Counts:
        total = Counts()
        for one in self.judged:
            total.add(one.counts)
        return total

    @property
    def warnings(self) -> dict[str, int]:
        """Utterances by the warnings that they came with."""
        codes = (set(final.get("warnings") or ()) for one in self.judged for final in one.heard.finals)
        return dict(sorted(Counter(chain.from_iterable(codes)).items()))


async def evaluated(
    name: str,
    config: Config,
    pairs: Sequence[Pair],
    *,
    realtime: bool,
    language: str | None,
    told: Callable[[str], None],
) -> Evaluation:
    """config: with its profile applied. Raises WernickeError, see `running.played`; BadReference."""
    references = [read(pair.references) for pair in pairs]  # before minutes of work: what can't be read shows at once
    with tempfile.TemporaryDirectory(prefix="wernicke-eval-") as folder:
        recordings = [pair.recording for pair in pairs]
        heard = await played(config, recordings, Path(folder), realtime=realtime, language=language, told=told)
    spoken = language or config.asr.language
    judged = tuple(
        judge(recording, reference, one, spoken)
        for recording, reference, one in zip(recordings, references, heard, strict=True)
    )
    return Evaluation(name, judged, _models(heard))


def judge(recording: Path, reference: Reference, heard: Heard, language: str) -> Judged:
    """language: ISO 639-1, or "auto" for that of the most utterances."""
    if language == "auto":
        languages = [final["language"] for final in heard.finals]
        language = max(languages, key=languages.count, default="")
    counts = count(reference, heard, unit_of(language))
    if reference.speech and diarization.is_installed():
        counts.strict, counts.lenient = diarization.errors(reference.speech, heard_speech(heard.finals), heard.audio_s)
    return Judged(recording, reference, heard, unit_of(language), counts)


def _models(heard: Sequence[Heard]) -> dict[str, str]:
    used: dict[str, str] = {}
    for one in heard:
        for final in one.finals:
            used |= {purpose: model for purpose, model in final["models_used"].items() if model}
    return used
