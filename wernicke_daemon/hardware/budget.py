"""How much GPU memory the configured models need, card by card, and what is left. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ipc import gpu, vram
from ipc.messages import StageName
from ipc.model_names import ollama_name
from wernicke_daemon.config.schema import Config


class Need(NamedTuple):
    """mib: what it takes; None where that is not known of the model. card: which one it is on, as nvidia-smi has it."""

    stage: StageName
    what: str
    mib: int | None
    card: int = 0


def needs(config: Config) -> list[Need]:
    """What goes onto cards with these settings, as engines are named in them, the largest first.

    Nothing for engines called "auto": which one that will be is only known when it has loaded.
    """
    stages = [*_recognisers(config), *_diarizations(config)]
    spares = [need._replace(what=f"{need.what}, spare") for need in stages if need.stage in config.runtime.standby]
    return sorted([*stages, *spares, *_llm(config)], key=lambda need: -(need.mib or 0))


def total(config: Config, card: int = 0) -> int:
    """MiB on that card; what is not known counts nothing."""
    return sum(need.mib or 0 for need in needs(config) if need.card == card)


def least(config: Config, card: int = 0) -> int:
    """MiB on that card with Whisper in the smallest type that it may be stepped down to."""
    wanted = config.asr.compute_type
    full, smallest = vram.whisper(config.asr.model, wanted), vram.whisper(config.asr.model, vram.COMPUTE_TYPES[-1])
    spared = full - smallest if full and smallest and wanted in vram.COMPUTE_TYPES else 0
    whispers = sum(need.what.startswith("Whisper") and need.card == card for need in needs(config))
    return total(config, card) - whispers * spared


def cards(config: Config) -> set[int]:
    """Those that something goes onto."""
    return {need.card for need in needs(config)}


def held(config: Config, loaded: Mapping[str, int]) -> int:
    """MiB of the first card that the language model has already: they are not free, and need no more room either.

    loaded: of `ollama_placement.held`."""
    return sum(loaded.get(ollama_name(need.what), 0) for need in _llm(config))


def _on_cards(config: Config, stage: StageName, own: str) -> Iterator[int]:
    """Of each replica that uses one. own: the device of the stage's own section."""
    for device in config.devices(stage):
        card = gpu.number(device or own)
        if card is not None:
            yield card


def _recognisers(config: Config) -> Iterator[Need]:
    asr, aligned = config.asr, config.alignment
    for card in _on_cards(config, "asr", asr.device):
        if asr.engine == "faster_whisper":
            model = vram.whisper(asr.model, asr.compute_type)
            mib = None if model is None else model + vram.CUDA_CONTEXT
            yield Need("asr", f"Whisper {asr.model} in {asr.compute_type}", mib, card)
        if aligned.engine == "whisperx" and aligned.device != "cpu":
            yield Need("asr", "alignment", vram.ALIGNMENT, card)


def _diarizations(config: Config) -> Iterator[Need]:
    if config.diarization.engine == "pyannote":
        for card in _on_cards(config, "diarization", config.diarization.device):
            yield Need("diarization", "pyannote", vram.PYANNOTE + vram.CUDA_CONTEXT, card)


def _llm(config: Config) -> list[Need]:
    """On the first card, as Ollama takes that where the model fits."""
    here = _is_here(config.llm.host) and config.devices("correction")
    if config.correction.engine != "ollama" or not here:
        return []
    return [Need("correction", config.llm.model, vram.llm(config.llm.model))]


def _is_here(host: str) -> bool:
    """Whether that Ollama uses this machine's card."""
    return any(name in host for name in ("//localhost", "//127.0.0.1", "//[::1]"))
