"""Where a Whisper model for CTranslate2 is on this machine, and whether it is whole. Nothing is downloaded."""

from pathlib import Path
from typing import Any

from ipc.errors import EngineUnavailable
from ipc.model_names import WHISPER_REPOSITORIES, whisper_repository

FILES = ("model.bin", "config.json", "tokenizer.json")
"""Of a model directory, with vocabulary.json or .txt. Without tokenizer.json the hub would be asked."""
ELSE = "put a local directory in asr.model, or start with --profile embedded for English"


def model_directory(model: str) -> Path:
    """The directory that asr.model names, or where the hub's client has put that model. Raises EngineUnavailable."""
    directory = Path(model) if Path(model).is_dir() else downloaded(model)
    missing = [name for name in FILES if not (directory / name).is_file()]
    if not any((directory / name).is_file() for name in ("vocabulary.json", "vocabulary.txt")):
        missing.append("vocabulary.json")
    if missing:
        raise EngineUnavailable(
            f"the Whisper model in '{directory}' lacks {', '.join(missing)}: run `wernicke models verify`, which says "
            f"how to complete it (a model for CTranslate2 is needed), {ELSE}"
        )
    return directory


def downloaded(model: str) -> Path:
    """Raises EngineUnavailable where the model was never downloaded, or where no model has such a name."""
    from huggingface_hub import snapshot_download

    repository = whisper_repository(model)
    if "/" not in repository:
        raise no_such_model(model)
    try:
        # The files by name: for newer clients of the hub a model is not here while its README was not fetched.
        return Path(snapshot_download(repository, allow_patterns=[*FILES, "vocabulary.*"], local_files_only=True))
    except OSError as error:  # first: what older clients of the hub raise here is a ValueError too
        raise EngineUnavailable(
            f"the Whisper model {model!r} is not on this machine: run `wernicke models pull`, which brings "
            f"{repository}, {ELSE}"
        ) from error
    except ValueError as error:  # no name that the hub allows
        raise no_such_model(model) from error


def no_such_model(model: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"asr.model is {model!r}, which is no directory here, no hub id and none of "
        f"{', '.join(WHISPER_REPOSITORIES)}: correct it, {ELSE}"
    )


def check_mels(whisper: Any, directory: Path) -> None:
    """Without preprocessor_config.json 80 mel bands are assumed, and large-v3 has 128. Raises EngineUnavailable."""
    if whisper.model.n_mels != whisper.feature_extractor.mel_filters.shape[0]:
        raise EngineUnavailable(
            f"preprocessor_config.json in '{directory}' is missing or does not fit the model, which takes "
            f"{whisper.model.n_mels} mel bands: run `wernicke models verify`, which says how to mend it, {ELSE}"
        )
