"""Errors that mean too little GPU memory are told from all others."""

import pytest

from stages.gpu.errors import is_device_error, is_out_of_memory


class OutOfMemoryError(RuntimeError):
    """Named like PyTorch's."""


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 23.99 GiB total capacity)"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA failed with error out of memory"),
        RuntimeError("cudaErrorInvalidDevice: invalid device ordinal"),
        RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_too_little_gpu_memory(error: Exception) -> None:
    """In the words of PyTorch, CTranslate2 and the libraries under them."""
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuBLAS failed with status CUBLAS_STATUS_NOT_SUPPORTED"),
        ValueError("out of range"),
    ],
)
def test_other_errors(error: Exception) -> None:
    """Main memory that ran out, and other failures of a GPU."""
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported", True),
        ("CUDA failed with error an illegal memory access was encountered", True),
        ("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED", True),
        ("CUDA failed with error out of memory", False),
        ("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED", False),
        ("Expected a tensor on a CUDA device", False),
    ],
)
def test_a_gpu_that_this_process_has_lost(message: str, expected: bool) -> None:
    """Told from a lack of memory, after which the process may go on, and from errors of the program."""
    assert is_device_error(RuntimeError(message)) is expected
