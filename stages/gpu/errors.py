"""Which exceptions say that a GPU's memory did not suffice, or that it is of no more use to this process. Pure."""

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
_DEVICE_ERROR = re.compile(r"CUDA error|CUDA failed with error|CU(BLAS|DNN)_STATUS_")
"""As PyTorch, CTranslate2 and the libraries under them begin or name what CUDA reports."""


def is_out_of_memory(error: BaseException) -> bool:
    """Of the GPU. Too little main memory (MemoryError, PyTorch's DefaultCPUAllocator) is not meant."""
    return type(error).__name__ == _PYTORCH_CLASS or bool(_MESSAGE.search(str(error)))


def is_device_error(error: BaseException) -> bool:
    """Not lack of memory but another failure of the GPU, such as a reset of its driver. After most of them every
    further call fails in the same process, and only in that (CUDA's "sticky" errors)."""
    return bool(_DEVICE_ERROR.search(str(error))) and not is_out_of_memory(error)
