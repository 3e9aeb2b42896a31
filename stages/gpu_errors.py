"""Which exceptions say that a GPU's memory did not suffice. Pure."""

import re

_PYTORCH_CLASS = "OutOfMemoryError"
"""Known by name: PyTorch is not imported for this."""
_MESSAGE = re.compile(
    r"CUDA.*out of memory|cudaErrorMemoryAllocation|cudaErrorInvalidDevice|CU(BLAS|DNN)_STATUS_ALLOC_FAILED",
    re.IGNORECASE | re.DOTALL,
)
"""CTranslate2 raises RuntimeError with the words of CUDA ("CUDA failed with error out of memory") or the name of the
status; cudaErrorInvalidDevice is what it may say where memory was short while it started on a device. PyTorch says
"CUDA out of memory", or the status where a library under it had no room."""


def is_out_of_memory(error: BaseException) -> bool:
    """Of the GPU. Too little main memory (MemoryError, PyTorch's DefaultCPUAllocator) is not meant."""
    return type(error).__name__ == _PYTORCH_CLASS or bool(_MESSAGE.search(str(error)))
