"""What is said of where Ollama has the model."""

import socket
import time

import pytest
from msgspec.structs import replace

from tests.ollama_server import MODEL, MODEL_BYTES, OllamaServer
from wernicke_daemon.models.ollama_placement import Placement, has, placement, problems

WHOLE = Placement(MODEL, loaded=True, size_mib=9000, vram_mib=9000, context_length=4096)


async def test_a_loaded_model_is_described() -> None:
    """Sizes in MiB, and the context it runs with."""
    with OllamaServer() as server:
        server.loaded[MODEL] = 4096
        server.vram_share = 0.5
        found = await placement(server.url + "/", MODEL)
    mib = MODEL_BYTES // 1024**2
    assert found == Placement(MODEL, True, mib, mib // 2, 4096)


async def test_a_model_that_is_not_loaded_is_told_from_a_server_that_is_gone() -> None:
    """Another model in memory is not ours."""
    with OllamaServer() as server:
        server.loaded["another:latest"] = 4096
        assert await placement(server.url, MODEL) == Placement(MODEL, loaded=False)
        url = server.url
    assert await placement(url, MODEL) is None


async def test_a_name_without_a_tag_is_the_latest() -> None:
    """As Ollama has it."""
    with OllamaServer() as server:
        server.loaded["qwen2.5:latest"] = 4096
        found = await placement(server.url, "qwen2.5")
    assert found is not None and found.loaded


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured host is asked, as it is for corrections."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with OllamaServer() as server:
        assert await placement(server.url, MODEL) == Placement(MODEL, loaded=False)


async def test_a_model_on_the_disk_need_not_be_loaded() -> None:
    """Only ours counts; without a server there is none."""
    with OllamaServer() as server:
        assert await has(server.url, MODEL)
        assert not await has(server.url, "another")
        url = server.url
    assert not await has(url, MODEL)


@pytest.mark.parametrize("host", ["http://localhost:port", "http://[", "http://no such host"])
async def test_an_impossible_address_is_a_server_that_is_gone(host: str) -> None:
    """Whoever polls this needs no other case."""
    assert await placement(host, MODEL) is None


async def test_a_server_that_hangs_is_gone() -> None:
    """Whoever polls this is not held up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert await placement(f"http://127.0.0.1:{silent.getsockname()[1]}", MODEL) is None
    assert time.monotonic() - began < 60


def test_a_model_as_it_should_be_is_no_problem() -> None:
    """Wholly on the card, with the context asked for; a server that does not tell the context is believed."""
    assert problems(WHOLE, 4096, True) == []
    assert problems(replace(WHOLE, context_length=None), 4096, True) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, ["does not answer", "Start it"]),
        (Placement(MODEL, loaded=False), ["does not have", MODEL]),
        (replace(WHOLE, size_mib=9346, vram_mib=5817), ["6.1 of 9.8 GB on the graphics card", "smaller llm.model"]),
        (replace(WHOLE, vram_mib=0), ["0.0 of 9.4 GB"]),
        (replace(WHOLE, context_length=2048), ["2048 tokens of context instead of 4096", "llm.num_ctx"]),
    ],
)
def test_each_problem_is_said_with_its_way_out(found: Placement | None, said: list[str]) -> None:
    """One sentence on one line."""
    (problem,) = problems(found, 4096, True)
    assert "\n" not in problem
    assert all(part in problem for part in said)


def test_several_problems_are_all_said() -> None:
    """A model that is partly on the CPU and has another context has two."""
    assert len(problems(replace(WHOLE, vram_mib=1, context_length=2048), 4096, True)) == 2


def test_a_model_on_the_cpu_of_a_machine_without_a_card_is_where_it_has_to_be() -> None:
    """Nothing can be done about it; with a card something can."""
    on_cpu = replace(WHOLE, vram_mib=0)
    assert problems(on_cpu, 4096, has_card=False) == []
    assert len(problems(on_cpu, 4096, has_card=True)) == 1
