"""The compute type: the best that the device supports and has memory for."""

import pytest

from ipc import vram
from stages.asr.compute_type import ComputeTypeChoice, choose, gpu_needs

CUDA = {"float32", "float16", "bfloat16", "int8", "int8_float16", "int8_float32"}
CPU = {"float32", "int8", "int8_float32"}
NEEDS = {"float32": 7000, "float16": 4500, "int8_float16": 3000, "int8": 3000}


@pytest.mark.parametrize(
    ("free_mib", "expected"),
    [
        (24_000, ComputeTypeChoice("float16", 4500, True)),
        (4500, ComputeTypeChoice("float16", 4500, True)),
        (4499, ComputeTypeChoice("int8_float16", 3000, True)),
        (2999, ComputeTypeChoice("int8_float16", 3000, False)),
        (None, ComputeTypeChoice("float16", 4500, True)),
    ],
)
def test_free_memory_decides(free_mib: int | None, expected: ComputeTypeChoice) -> None:
    """The wanted type if it fits, else the next that does; where none does, the smallest and that it does not fit."""
    assert choose("float16", CUDA, NEEDS, free_mib) == expected


def test_a_type_that_the_device_lacks_is_passed_over() -> None:
    """An older card without fast float16 computes in int8, one without both in float32."""
    assert choose("float16", CUDA - {"float16", "int8_float16"}, NEEDS, 24_000).compute_type == "int8"
    assert choose("float16", {"float32"}, NEEDS, 24_000).compute_type == "float32"
    assert choose("float16", {"float32"}, NEEDS, 6000) == ComputeTypeChoice("float32", 7000, False)


def test_what_is_wanted_is_the_best_that_is_taken() -> None:
    """int8 is not improved to float16, however much is free."""
    assert choose("int8", CUDA, NEEDS, 24_000).compute_type == "int8"
    assert choose("float32", CUDA, NEEDS, 5000) == ComputeTypeChoice("float32", 7000, False)


@pytest.mark.parametrize(("wanted", "chosen"), [("float16", "int8"), ("int8_float16", "int8"), ("int8", "int8")])
def test_on_a_processor_only_support_decides(wanted: str, chosen: str) -> None:
    """No figures of GPU memory are needed or given."""
    assert choose(wanted, CPU, {}, None) == ComputeTypeChoice(chosen, None, True)


@pytest.mark.parametrize("wanted", ["auto", "default", "flaot16"])
def test_other_words_are_ctranslate2s(wanted: str) -> None:
    """It knows what `auto` is, and refuses what it does not know."""
    assert choose(wanted, CUDA, NEEDS, 100) == ComputeTypeChoice(wanted, None, True)


def test_needs_of_a_known_size_are_the_budgets_own() -> None:
    """So that the budget and the choice say the same; each process has its CUDA context besides."""
    budget = (vram.whisper("large-v3", "float16") or 0) + vram.CUDA_CONTEXT
    assert gpu_needs("large-v3", file_bytes=1)["float16"] == budget


def test_needs_of_another_model_follow_from_its_file() -> None:
    """A file of 3 GiB in float16 takes that, or half of it in int8, besides context and work."""
    needed = gpu_needs("/models/mine", file_bytes=3 * 1024**3)
    assert needed["float16"] == vram.CUDA_CONTEXT + vram.WHISPER_WORK + 3072
    assert needed["int8_float16"] == needed["int8"] == vram.CUDA_CONTEXT + vram.WHISPER_WORK + 1536
