"""Which engines each stage has, by the names of config.toml; imported only when one is chosen."""

from importlib import import_module
from typing import cast

from ipc.errors import EngineUnavailable
from ipc.messages import StageName
from ipc.settings import StageSettings
from stages.asr.aligned import with_alignment
from stages.engine import Engine

ENGINES: dict[StageName, dict[str, str]] = {
    "ingest": {
        "silero": "stages.ingest.engine:SileroIngest",
        "energy": "stages.ingest.engine:EnergyIngest",
    },
    "asr": {
        "faster_whisper": "stages.asr.faster_whisper:FasterWhisper",
        "pocketsphinx": "stages.asr.pocketsphinx:PocketSphinx",
    },
    "diarization": {
        "pyannote": "stages.diarization.pyannote:Pyannote",
        "onnx": "stages.diarization.onnx:OnnxDiarization",
        "none": "stages.diarization.none:NoDiarization",
    },
    "correction": {
        "ollama": "stages.correction.ollama:OllamaCorrection",
        "none": "stages.correction.none:NoCorrection",
    },
}
"""Best first: the order in which `auto` tries them."""

RENAMED = {"spectral": "onnx"}
"""Engines by the name that a config.toml of earlier days may have."""


def wanted(stage: StageName, settings: StageSettings) -> list[str]:
    """Names of the engines to try, best first: one if config.toml names one."""
    if stage in settings.sleep_ms:
        return ["sleep"]
    name = {
        "ingest": settings.vad.engine,
        "asr": settings.asr.engine,
        "diarization": settings.diarization.engine,
        "correction": settings.correction.engine,
    }[stage]
    return list(ENGINES[stage]) if name == "auto" else [RENAMED.get(name, name)]


def create(stage: StageName, name: str, settings: StageSettings) -> Engine:
    """Raises EngineUnavailable where a package that the engine needs is not installed."""
    where = "stages.testing.sleep:Sleep" if name == "sleep" else ENGINES[stage][name]
    module, _, attribute = where.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise EngineUnavailable(f"{stage} engine {name!r} needs the package {error.name!r}; install it") from error
    engine = cast(Engine, factory(stage, settings))
    return with_alignment(engine, settings) if stage == "asr" and name != "sleep" else engine
