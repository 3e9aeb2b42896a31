"""Opens a pyannote pipeline that lies on this machine. Nothing is fetched and nothing is reported."""

import io
import warnings
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

from ipc.errors import EngineUnavailable, one_line
from ipc.settings import DiarizationSettings
from stages import offline
from stages.gpu import torch_device

CHATTER = (
    # Once a start, a page long, about a decoder that is not used: audio comes from memory.
    r"\s*torchcodec is not installed correctly",
    # What it announces is wanted: results that repeat.
    r"TensorFloat-32 \(TF32\) has been disabled",
    # At each utterance with too little clean speech for an embedding; the result says so by an empty one.
    r"Mean of empty slice",
    r"invalid value encountered in ",
    # While pyannote tries out how little speech its embedding model can take.
    r"std\(\): degrees of freedom is <= 0",
    # At each utterance in which fewer people speak than diarization.min_speakers.
    r"\s*The detected number of speakers",
)
"""Beginnings of warnings that would fill the log and ask nobody to do anything."""


def open_pipeline(settings: DiarizationSettings) -> Any:
    """A `pyannote.audio.pipelines.SpeakerDiarization` on its device. Raises EngineUnavailable."""
    offline.enforce()
    for message in CHATTER:
        warnings.filterwarnings("ignore", message=message)
    import_packages()
    device = torch_device.find("diarization.device", settings.device)
    pipeline = read(settings.model)
    to_device(pipeline, device)
    pipeline.legacy = False  # a model's config may ask for bare turns; embeddings and exclusive turns are needed
    return pipeline


def import_packages() -> None:
    """Raises EngineUnavailable where they are missing or can't be loaded (a DLL, on Windows)."""
    try:
        import_module("torch")
        import_module("pyannote.audio")
    except (ImportError, OSError) as error:
        raise EngineUnavailable(
            f"the diarization engine pyannote can't be imported ({one_line(error)}): run "
            '`uv pip install --torch-backend=auto ".[gpu]"`, or set diarization.engine = "onnx"'
        ) from error


def read(model: str) -> Any:
    """On the CPU. model: hub id or directory. Raises EngineUnavailable."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    from pyannote.audio import Pipeline
    from pyannote.audio.pipelines import SpeakerDiarization

    try:
        with redirect_stdout(io.StringIO()):  # where a file is missing, pyannote prints advice on downloads
            pipeline = Pipeline.from_pretrained(model)
    except LocalEntryNotFoundError as error:
        raise not_here(model) from error
    except HFValidationError as error:
        raise EngineUnavailable(
            f"diarization.model is {model!r}, which is, or is made of, something that is neither a directory here nor "
            f"a hub id ({one_line(error)}): correct it"
        ) from error
    except Exception as error:
        raise EngineUnavailable(
            f"the pyannote model {model!r} can't be loaded ({one_line(error)}): run `wernicke models verify`, which "
            "finds files that are missing or damaged"
        ) from error
    if pipeline is None:
        raise not_here(model)
    if not isinstance(pipeline, SpeakerDiarization):  # some send the audio to a server
        raise EngineUnavailable(
            f"the pyannote model {model!r} is no local speaker diarization but {type(pipeline).__name__}: "
            "put pyannote/speaker-diarization-community-1 in diarization.model"
        )
    return pipeline


def to_device(pipeline: Any, device: str) -> None:
    """Raises EngineUnavailable, such as where the GPU's memory is full."""
    import torch

    try:
        pipeline.to(torch.device(device))
    except RuntimeError as error:
        raise EngineUnavailable(
            f"the pyannote model can't be moved to {device} ({one_line(error)}): free GPU memory, or set "
            'diarization.device = "cpu"'
        ) from error


def not_here(model: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"the pyannote model {model!r}, or a model that it is made of, is not on this machine: accept its licence on "
        "huggingface.co, put a token into HF_TOKEN and run `wernicke models pull`"
    )
