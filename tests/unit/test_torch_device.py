"""PyTorch's device and its memory, with a stand-in for PyTorch: neither it nor a GPU is needed."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from ipc import gpu
from ipc.errors import EngineUnavailable
from ipc.messages import GpuMemory
from ipc.settings import Device
from stages.gpu import torch_device


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine with a GPU, on which 3.5 MiB are in use and 8 reserved; what is done about its memory, in order."""
    done: list[str] = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        empty_cache=lambda: done.append("empty_cache"),
        memory_allocated=lambda: 7 * gpu.MIB // 2,
        memory_reserved=lambda: 8 * gpu.MIB,
    )
    torch = ModuleType("torch")
    monkeypatch.setattr(torch, "cuda", cuda, raising=False)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(torch_device, "gc", SimpleNamespace(collect=lambda: done.append("collect")))
    monkeypatch.setattr(gpu, "process_mib", lambda pid: 4321)
    return done


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever imports it gets an ImportError."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.mark.parametrize(
    ("wanted", "there", "device"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
    ],
)
def test_the_device(
    wanted: Device, there: bool, device: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best there is, unless it is said."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert torch_device.find("alignment.device", wanted) == device


@pytest.mark.parametrize("setting", ["alignment.device", "diarization.device"])
def test_a_gpu_that_is_not_there(setting: str, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways out are named, and whose device it is."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(EngineUnavailable) as refused:
        torch_device.find(setting, "cuda")
    said = str(refused.value)
    assert f'{setting} is "cuda"' in said and "--torch-backend=auto" in said and f'{setting} = "cpu"' in said


def test_garbage_goes_before_the_cache(calls: list[str]) -> None:
    """What it holds would be left in the cache otherwise."""
    torch_device.release("cuda")
    assert calls == ["collect", "empty_cache"]


def test_memory_on_a_gpu(calls: list[str]) -> None:
    """In whole MiB."""
    assert torch_device.gpu_memory("cuda") == GpuMemory(allocated=3, reserved=8, process=4321)


def test_on_the_cpu_pytorch_is_not_asked(no_torch: None) -> None:
    """Nothing is held there, and nothing given back."""
    torch_device.release("cpu")
    assert torch_device.gpu_memory("cpu") is None
