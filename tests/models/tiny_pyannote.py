"""Builds a pyannote pipeline on this machine: speech found by a trained model, voices told apart on a given recording.

Segmentation is the trained model that whisperx brings (windows of 5 s, up to 3 speakers). Embeddings are means and
deviations of MFCCs over time, standardised by those of the recording that the pipeline is built for: its own voices
come out apart, others may not. They go through pyannote's x-vector network, whose layers hand the MFCCs on unchanged.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import XVectorMFCC

Shape = Literal["community-1", "3.1"]

RATE = 16_000
MFCCS = 40
MELS = 64
DIMENSION = 2 * MFCCS
"""Of an embedding: mean and deviation of each MFCC."""
ABOVE_ZERO = 1000.0
"""Added to MFCCs, for the network's activations bend negative values."""
BETWEEN_VOICES = 10.0
"""Variance between voices in units of that within one, for the clustering of community-1."""
CLUSTERING: dict[Shape, dict[str, Any]] = {
    "community-1": {"threshold": 0.8, "Fa": 0.07, "Fb": 0.8},
    "3.1": {"method": "centroid", "min_cluster_size": 1, "threshold": 1.0},
}
CLUSTERER: dict[Shape, str] = {"community-1": "VBxClustering", "3.1": "AgglomerativeClustering"}


def build_tiny_pyannote(directory: Path, recording: NDArray[np.float32], shape: Shape = "community-1") -> Path:
    """A model directory for `Pipeline.from_pretrained`, shaped like one of the published pipelines.

    recording: 16 kHz mono. Returns `directory`, which is created.
    """
    for part in ("segmentation", "embedding", "plda"):
        (directory / part).mkdir(parents=True)
    shutil.copy(trained_segmentation(), directory / "segmentation" / "pytorch_model.bin")
    save(embedding_model(recording), directory / "embedding" / "pytorch_model.bin")
    save_plda(directory / "plda")
    (directory / "config.yaml").write_text(yaml.safe_dump(config(shape)), encoding="utf-8")
    return directory


def trained_segmentation() -> Path:
    spec = find_spec("whisperx")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "assets" / "pytorch_model.bin"


def config(shape: Shape) -> dict[str, Any]:
    """3.1 names no PLDA; it is given one here because pyannote 4 reads it for every pipeline."""
    return {
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {
                "clustering": CLUSTERER[shape],
                "segmentation": "$model/segmentation",
                "segmentation_step": 0.2,
                "segmentation_batch_size": 32,
                "embedding": "$model/embedding",
                "embedding_batch_size": 32,
                "embedding_exclude_overlap": True,
                "plda": "$model/plda",
                "legacy": shape == "3.1",
            },
        },
        "params": {
            "clustering": CLUSTERING[shape],
            "segmentation": {"min_duration_off": 0.0, "threshold": 0.5},
        },
    }


def embedding_model(recording: NDArray[np.float32]) -> Model:
    """Its weights are set, not trained; the same recording gives the same model."""
    model = XVectorMFCC(mfcc={"melkwargs": {"n_mels": MELS}}, dimension=DIMENSION).eval()
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, classes=[]
    )
    convolutions = [layer for layer in model.tdnns if isinstance(layer, torch.nn.Conv1d)]
    with torch.no_grad():
        for layer in convolutions:
            torch.nn.init.zeros_(layer.bias)
            torch.nn.init.zeros_(layer.weight)
            layer.weight[range(MFCCS), range(MFCCS), layer.kernel_size[0] // 2] = 1.0
        convolutions[0].bias[:MFCCS] = ABOVE_ZERO
        pooled = statistics(model, torch.from_numpy(recording))
        chosen = [*range(MFCCS), *range(pooled.shape[1] // 2, pooled.shape[1] // 2 + MFCCS)]
        mean, deviation = pooled[:, chosen].mean(dim=0), pooled[:, chosen].std(dim=0)
        torch.nn.init.zeros_(model.embedding.weight)
        model.embedding.weight[range(DIMENSION), chosen] = 1 / deviation
        model.embedding.bias[:] = -mean / deviation
    return model


def statistics(model: Model, recording: torch.Tensor) -> torch.Tensor:
    """[windows, pooled]: what the last layer sees of each second of the recording."""
    frames = model.mfcc(recording.unfold(0, RATE, RATE // 2))
    for layer in model.tdnns:
        frames = layer(frames)
    return model.stats_pool(frames)


def save(model: Model, path: Path) -> None:
    """As pyannote's own checkpoints are."""
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.0.0",
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)


def save_plda(directory: Path) -> None:
    """One that leaves embeddings as they are, but for their length."""
    one, nothing = np.eye(DIMENSION), np.zeros(DIMENSION)
    np.savez(directory / "xvec_transform.npz", mean1=nothing, mean2=nothing, lda=one)
    np.savez(directory / "plda.npz", mu=nothing, tr=one, psi=np.full(DIMENSION, BETWEEN_VOICES))
