"""Where the ONNX models are that the light diarization needs, and opening them. Nothing is downloaded."""

import os
from pathlib import Path
from typing import Any, Literal

from ipc.errors import EngineUnavailable, one_line
from ipc.model_names import ONNX_SPEAKERS
from stages import offline

Part = Literal["segmentation", "encoder"]

BUNDLED = Path(__file__).with_name("models")
"""Of the package: segmentation.onnx and encoder.onnx, made by tools/convert_speaker_models.py, with their licences."""

ELSE = 'put "small" in diarization.onnx_model'


class Session:
    """A model of one input and one output, on the CPU."""

    def __init__(self, path: Path) -> None:
        """Raises EngineUnavailable."""
        self.path = path
        offline.enforce()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of many kinds, by what is wrong with the file
            raise EngineUnavailable(
                f"the model '{path}' can't be opened ({one_line(error)}): run `wernicke models verify`, or {ELSE}"
            ) from error
        (self._input,) = self._session.get_inputs()[:1]

    @property
    def width(self) -> Any:
        """Last dimension of the input; no number where it is free."""
        return self._input.shape[-1]

    def run(self, batch: Any) -> Any:
        """float32 in, float32 out; the first dimension is the batch's."""
        return self._session.run(None, {self._input.name: batch})[0]


def threads() -> int:
    """As many as the stage's process was given; onnxruntime, which has threads of its own, does not read that."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else 1


def located(model: str, part: Part) -> Path:
    """model: of diarization.onnx_model. Raises EngineUnavailable where the file is not on this machine."""
    if model == "small":
        return BUNDLED / f"{part}.onnx"
    path = downloaded(part) if model == "large" else Path(model) / f"{part}.onnx"
    if not path.is_file():
        raise EngineUnavailable(
            f"diarization.onnx_model is {model!r}, but '{path}' is not there: name a directory with "
            f"segmentation.onnx and encoder.onnx in it, or {ELSE}"
        )
    return path


def downloaded(part: Part) -> Path:
    """Raises EngineUnavailable."""
    from huggingface_hub import hf_hub_download

    repository, file = ONNX_SPEAKERS[part]
    try:
        return Path(hf_hub_download(repository, file, local_files_only=True))
    except OSError as error:
        raise EngineUnavailable(
            f'{repository} for diarization.onnx_model = "large" is not on this machine: run `wernicke models pull`, or '
            'set it to "small"'
        ) from error
