"""Which models a config names, and which files each is made of. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ipc.model_names import ONNX_SPEAKERS, alignment_model, whisper_repository
from ipc.settings import AsrSettings, DiarizationSettings
from wernicke_daemon.config.schema import Config

Keeper = Literal["hub", "ollama"]
"""Who keeps a model: the cache of the Hugging Face hub (or a directory of the user's own), or the Ollama server."""


class Model(NamedTuple):
    """One that some engine needs."""

    purpose: str  # what it is for
    name: str  # hub id, directory, or Ollama's name
    keeper: Keeper = "hub"  # who has it
    files: tuple[tuple[str, ...], ...] = ()  # needed, each entry by one of its alternatives, the best first
    extras: tuple[str, ...] = ()  # patterns of what is fetched where the hub has it
    gated: bool = False  # the hub may ask for a licence to be accepted
    instead: str = ""  # what runs where it is missing; "" where nothing does


WHISPER_FILES = (("model.bin",), ("config.json",), ("tokenizer.json",), ("vocabulary.json", "vocabulary.txt"))
"""Without tokenizer.json faster-whisper asks the hub even for a local model."""
MELS_FILE = "preprocessor_config.json"
"""Older Whisper models lack it: without it 80 mel bands are assumed, and large-v3 has 128."""

ALIGNMENT_FILES = (
    ("model.safetensors", "pytorch_model.bin"),  # the same weights; transformers prefers the first
    ("config.json",),
    ("preprocessor_config.json",),
    ("vocab.json",),
)
ALIGNMENT_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

PLDA_FILES = (("plda/xvec_transform.npz",), ("plda/plda.npz",))
COMMUNITY = "pyannote/speaker-diarization-community-1"
SPEAKERS: Mapping[str, Mapping[str, tuple[tuple[str, ...], ...]]] = {
    COMMUNITY: {
        COMMUNITY: (
            ("config.yaml",),
            ("segmentation/pytorch_model.bin",),
            ("embedding/pytorch_model.bin",),
            *PLDA_FILES,
        )
    },
    "pyannote/speaker-diarization-3.1": {
        "pyannote/speaker-diarization-3.1": (("config.yaml",),),
        "pyannote/segmentation-3.0": (("pytorch_model.bin",),),
        "pyannote/wespeaker-voxceleb-resnet34-LM": (("pytorch_model.bin",),),
        COMMUNITY: PLDA_FILES,  # pyannote.audio 4 loads it for every pipeline, whether its clustering wants it or not
    },
}
"""Repositories that a pipeline is made of, and what is read from each."""
SPEAKERS_EXTRAS = ("*pytorch_model.bin", "*.npz")
"""Of a pipeline that is not among SPEAKERS."""
OWN_PART = re.compile(r"\$model/([\w./-]+)")
"""How a pipeline's config.yaml names a folder beside it."""


def named(config: Config) -> list[Model]:
    """In the order of the work: recognition, word times, speakers, correction. config: with its profile applied."""
    return [*_recognition(config.asr), *_alignment(config), *_speakers(config), *_correction(config)]


def lacking(model: Model, present: Collection[str]) -> list[str]:
    """The needed files that are not there, each by its best alternative."""
    return [names[0] for names in model.files if not any(name in present for name in names)]


def with_parts(model: Model, config_yaml: str) -> Model:
    """The model with what its pipeline's config.yaml says that it is made of."""
    files = [
        names
        for part in dict.fromkeys(OWN_PART.findall(config_yaml))
        for names in (PLDA_FILES if part == "plda" else ((f"{part}/pytorch_model.bin",),))
    ]
    return model._replace(files=tuple(dict.fromkeys([*model.files, *files])))


def wanted_first(model: Model) -> list[str]:
    """What to ask the hub for; where that leaves something lacking, `wanted_else`."""
    return [names[0] for names in model.files] + list(model.extras)


def wanted_else(model: Model, present: Collection[str]) -> list[str]:
    """The other alternatives of what is not there yet."""
    return [name for names in model.files if not any(one in present for one in names) for name in names[1:]]


def belongs(model: Model, name: str) -> bool:
    """Whether the file, by its path with slashes, is one of the model's."""
    return any(name in names for names in model.files) or any(fnmatch(name, pattern) for pattern in model.extras)


def _recognition(asr: AsrSettings) -> Iterator[Model]:
    if asr.engine == "pocketsphinx":
        return
    name = whisper_repository(asr.model)
    needs_mels = "large-v3" in Path(name).name
    yield Model(
        "recognition",
        name,
        files=(*WHISPER_FILES, (MELS_FILE,)) if needs_mels else WHISPER_FILES,
        extras=() if needs_mels else (MELS_FILE,),
        instead="pocketsphinx" if asr.engine == "auto" and asr.language == "en" else "",
    )


def _alignment(config: Config) -> Iterator[Model]:
    """None for a language without a known model, nor for "auto", where each utterance shows its language only later."""
    alignment = config.alignment
    name = alignment_model(alignment.model, config.asr.language)
    if alignment.engine == "whisper" or config.asr.engine == "pocketsphinx" or name is None:
        return
    instead = "the recogniser's own times" if alignment.engine == "auto" else ""
    yield Model("times of words", name, files=ALIGNMENT_FILES, extras=ALIGNMENT_EXTRAS, instead=instead)


def _speakers(config: Config) -> Iterator[Model]:
    diarization = config.diarization
    if diarization.engine in ("onnx", "spectral", "auto"):
        yield from _onnx_speakers(diarization)
    if diarization.engine not in ("pyannote", "auto"):
        return
    instead = "onnx" if diarization.engine == "auto" else ""
    parts: Mapping[str, Any] = SPEAKERS.get(diarization.model, {diarization.model: (("config.yaml",),)})
    extras = () if diarization.model in SPEAKERS else SPEAKERS_EXTRAS
    for name, files in parts.items():
        yield Model("speakers", name, files=files, extras=extras, gated=name.startswith("pyannote/"), instead=instead)


def _onnx_speakers(diarization: DiarizationSettings) -> Iterator[Model]:
    if diarization.onnx_model == "large":
        instead = "nobody is told apart" if diarization.engine == "auto" else ""
        for repository, file in ONNX_SPEAKERS.values():
            yield Model("speakers", repository, files=((file,),), instead=instead)


def _correction(config: Config) -> Iterator[Model]:
    if config.correction.engine == "none":
        return
    instead = "text as it was recognised" if config.correction.engine == "auto" else ""
    yield Model("correction", config.llm.model, keeper="ollama", instead=instead)
