"""How much GPU memory models need, in MiB: what budgets and the choice of a compute type are made by. Pure.

Sources. Whisper large-v3 with beam 5: about 4.5 GB in float16 and 3 GB in int8 (faster-whisper's published benchmark).
Its weights alone are 1550 million parameters; what is beyond them, WHISPER_WORK, is taken for every size, though
smaller ones need less. qwen2.5:14b in q4_0: 8.5 GB of weights, 0.75 GB for 4096 tokens and buffers, 9.5 to 10.5 GB.
A CUDA context takes 0.3 to 0.5 GB in each process. ALIGNMENT and PYANNOTE are estimates from parameters and batches.
"""

CUDA_CONTEXT = 500
"""Of each process that uses the GPU; Ollama's is part of its own figure."""
ALIGNMENT = 1900
"""wav2vec2-large: 315 million parameters in float32, and 30 s of activations."""
PYANNOTE = 1500
"""Segmentation and speaker embeddings, batches of 8."""

WHISPER_WORK = 1400
WHISPER_PARAMETERS = {
    "tiny": 39,
    "base": 74,
    "small": 244,
    "medium": 769,
    "large-v1": 1550,
    "large-v2": 1550,
    "large-v3": 1550,
    "large": 1550,
    "large-v3-turbo": 809,
    "turbo": 809,
}
"""Millions."""
COMPUTE_TYPES = ("float16", "int8_float16", "int8")
"""From the most to the least memory; on a GPU the first is also the fastest."""
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8_float32": 1, "int8_float16": 1, "int8_bfloat16": 1, "int8": 1}

LLM = {"qwen2.5:14b-instruct-q4_0": 10_000, "qwen2.5:7b-instruct-q4_0": 5_400, "qwen2.5:3b-instruct-q4_0": 2_400}
"""With 4096 tokens of context. The smaller two are estimates from their parameters."""


def whisper(model: str, compute_type: str) -> int | None:
    """Without the CUDA context; None for a model or type that is not known. model: a size, English-only ones too."""
    parameters = WHISPER_PARAMETERS.get(model.removesuffix(".en"))
    size = BYTES.get(compute_type)
    if parameters is None or size is None:
        return None
    return WHISPER_WORK + round(parameters * 1e6 * size / 1024**2)


def llm(model: str) -> int | None:
    """None for a model that is not known."""
    return LLM.get(model)
