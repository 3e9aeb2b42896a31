"""Where an alignment model lies on this machine. Nothing is downloaded."""

from pathlib import Path

from ipc.errors import EngineUnavailable
from ipc.model_names import ALIGNMENT_MODELS, alignment_model
from ipc.settings import StageSettings
from stages import offline

ELSE = 'or set alignment.engine = "whisper"'


def wanted(settings: StageSettings, language: str) -> str | None:
    """Model for a language, a hub id or directory; None where none is known. A model named in `alignment.model` is for
    the language of `asr.language`, or for every language where that is "auto"."""
    configured = settings.asr.language in (language, "auto")
    return alignment_model(settings.alignment.model if configured else "auto", language)


def directory(model: str) -> Path:
    """model: a directory, or a hub id that the hub's client has fetched before. Raises EngineUnavailable."""
    if Path(model).is_dir():
        return Path(model)
    offline.enforce()
    from huggingface_hub import snapshot_download

    try:
        # A file by name: for newer clients of the hub a model is not here while its README was not fetched.
        return Path(snapshot_download(model, allow_patterns=["config.json"], local_files_only=True))
    except (OSError, ValueError) as error:  # not there; no possible name of a model
        raise EngineUnavailable(
            f"the alignment model {model!r} is not on this machine: run `wernicke models pull`, "
            f"put a local directory in alignment.model, {ELSE}"
        ) from error


def any_known() -> bool:
    """Whether there is a model for at least one of the languages for which one is known."""
    return any(map(is_here, ALIGNMENT_MODELS.values()))


def is_here(model: str) -> bool:
    try:
        directory(model)
    except EngineUnavailable:
        return False
    return True
