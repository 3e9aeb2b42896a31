"""How much GPU memory the configured models need, and what is left. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from ipc import vram
from ipc.messages import StageName
from ipc.model_names import ollama_name
from wernicke_daemon.config.schema import Config


class Need(NamedTuple):
    """mib: what it takes; None where that is not known of the model."""

    stage: StageName
    what: str
    mib: int | None


def needs(config: Config) -> list[Need]:
    """What goes onto the card with these settings, as engines are named in them, the largest first.

    Nothing for engines called "auto": which one that will be is only known when it has loaded.
    """
    stages = [*_recogniser(config), *_alignment(config), *_diarization(config)]
    spares = [Need(stage, f"{what}, spare", mib) for stage, what, mib in stages if stage in config.runtime.standby]
    return sorted([*stages, *spares, *_llm(config)], key=lambda need: -(need.mib or 0))


def total(config: Config) -> int:
    """MiB; what is not known counts nothing."""
    return sum(need.mib or 0 for need in needs(config))


def least(config: Config) -> int:
    """MiB with Whisper in the smallest type that it may be stepped down to."""
    wanted = config.asr.compute_type
    full, smallest = vram.whisper(config.asr.model, wanted), vram.whisper(config.asr.model, vram.COMPUTE_TYPES[-1])
    uses_whisper = any(need.what.startswith("Whisper") for need in needs(config))
    spared = full - smallest if uses_whisper and full and smallest and wanted in vram.COMPUTE_TYPES else 0
    return total(config) - spared


def held(config: Config, loaded: Mapping[str, int]) -> int:
    """MiB of this card that the language model has already: they are not free, and need no more room either.

    loaded: of `ollama_placement.held`."""
    return sum(loaded.get(ollama_name(need.what), 0) for need in _llm(config))


def _recogniser(config: Config) -> list[Need]:
    asr = config.asr
    if asr.engine != "faster_whisper" or asr.device == "cpu":
        return []
    model = vram.whisper(asr.model, asr.compute_type)
    return [
        Need("asr", f"Whisper {asr.model} in {asr.compute_type}", None if model is None else model + vram.CUDA_CONTEXT)
    ]


def _alignment(config: Config) -> list[Need]:
    if config.alignment.engine != "whisperx" or config.alignment.device == "cpu":
        return []
    return [Need("asr", "alignment", vram.ALIGNMENT)]


def _diarization(config: Config) -> list[Need]:
    if config.diarization.engine != "pyannote" or config.diarization.device == "cpu":
        return []
    return [Need("diarization", "pyannote", vram.PYANNOTE + vram.CUDA_CONTEXT)]


def _llm(config: Config) -> list[Need]:
    if config.correction.engine != "ollama" or not _is_here(config.llm.host):
        return []
    return [Need("correction", config.llm.model, vram.llm(config.llm.model))]


def _is_here(host: str) -> bool:
    """Whether that Ollama uses this machine's card."""
    return any(name in host for name in ("//localhost", "//127.0.0.1", "//[::1]"))
