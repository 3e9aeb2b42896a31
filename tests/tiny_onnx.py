"""ONNX models as small as can be, of the shape and interface of those that `diarization.onnx_model = "large"` names.

They hear voices that are made here, too: hums of two ranges of pitch. The onnx package would be one more to install for
a few messages of protobuf.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
LOW, HIGH = 300.0, 2500.0
"""Hz of the first tone of either voice."""
FLOAT, INT, INTS = 1, 2, 7
"""Of a tensor's values; of attributes."""

Array = NDArray[np.floating]


def voice(first: float, seconds: float) -> NDArray[np.float32]:
    """Tones from there on, 150 Hz apart, which swell four times a second; with a little noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * (first + 150 * number) * t) for number in range(6))
    noise = np.random.default_rng(0).standard_normal(len(t))
    return (0.2 * tones * (1 + np.sin(2 * np.pi * 4 * t)) / 2 + 0.003 * noise).astype(np.float32)


def segmentation() -> bytes:
    """[batch, 1, samples] → [batch, frames, 7], frames of 270 samples: nobody, three speakers alone, each two of them.
    The first speaker is the one with the LOW voice, the second the one with the HIGH voice."""
    at, window = np.arange(256) / RATE, np.hanning(256) / 64
    tuned = np.stack([window * np.cos(2 * np.pi * first * at) for first in (LOW, HIGH)])[:, None]
    weights = np.array([[0, 0], [1, -1], [-1, 1], [0, 0], [1, 1], [0, 0], [0, 0]])[:, :, None]
    least = np.array([0.0005, 0, 0, -9, -0.003, -9, -9])
    return model(
        ("input_values", ["batch", "channels", "samples"]),
        ("logits", ["batch", "frames", 7]),
        {"tuned": tuned, "weights": weights, "least": least},
        [
            node("Conv", ["input_values", "tuned"], "heard", strides=[10]),
            node("Mul", ["heard", "heard"], "energy"),
            node("AveragePool", ["energy"], "pooled", kernel_shape=[74], strides=[27]),
            node("Conv", ["pooled", "weights", "least"], "classes"),
            node("Transpose", ["classes"], "logits", perm=[0, 2, 1]),
        ],
    )


def encoder() -> bytes:
    """[batch, frames, 80] → [batch, 256]: how much each band swells."""
    mixed = np.random.default_rng(0).standard_normal((80, 256))
    return model(
        ("feats", ["batch", "frames", 80]),
        ("embs", ["batch", 256]),
        {"mixed": mixed, "noise": np.array([2.0])},
        [
            node("Mul", ["feats", "feats"], "squares"),
            node("ReduceMean", ["squares"], "swell", axes=[1], keepdims=0),
            node("Sub", ["swell", "noise"], "more"),
            node("Relu", ["more"], "swelling"),
            node("MatMul", ["swelling", "mixed"], "embs"),
        ],
    )


# --- protobuf, as onnx.proto has it ----------------------------------------------------------------

Shape = tuple[str, list[str | int]]


def model(given: Shape, result: Shape, constants: dict[str, Array], nodes: Sequence[bytes]) -> bytes:
    graph = b"".join(field(1, each) for each in nodes) + field(2, "tiny")
    graph += b"".join(field(5, tensor(name, values)) for name, values in constants.items())
    graph += field(11, value(*given)) + field(12, value(*result))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


def node(kind: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> bytes:
    named = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)
    return named + b"".join(field(5, attribute(name, value)) for name, value in attributes.items())


def attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, INT)
    return field(1, name) + b"".join(field(8, each) for each in value) + field(20, INTS)


def tensor(name: str, values: Array) -> bytes:
    sizes = b"".join(field(1, size) for size in values.shape)
    return sizes + field(2, FLOAT) + field(8, name) + field(9, values.astype("<f4").tobytes())


def value(name: str, sizes: Sequence[str | int]) -> bytes:
    each = (field(1, size) if isinstance(size, int) else field(2, size) for size in sizes)
    shape = b"".join(field(1, size) for size in each)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def field(number: int, content: int | str | bytes) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)
