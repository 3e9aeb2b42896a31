"""Where Ollama has the model that corrects: in graphics memory, with how much context, on disk, or not at all."""

import asyncio

import httpx
import msgspec

from ipc.model_names import ollama_name

_TIMEOUT_S = 2.0
"""Answering takes a running server a few milliseconds."""
_MIB = 1024 * 1024
_UNLOAD_S = 10.0
"""The server answers once the model is gone from its memory."""
RUNNING, ON_DISK, GENERATE = "/api/ps", "/api/tags", "/api/generate"


class Placement(msgspec.Struct, frozen=True):
    """loaded: the server has the model in memory; the figures are for that. size_mib: all of it, with its context;
    vram_mib: what of that is on the graphics card. context_length: tokens, None where the server does not say."""

    model: str
    loaded: bool
    size_mib: int = 0
    vram_mib: int = 0
    context_length: int | None = None


class _Running(msgspec.Struct, frozen=True):
    """One model in the answer of /api/ps, or of /api/tags. size, size_vram: bytes."""

    model: str
    size: int = 0
    size_vram: int = 0
    context_length: int | None = None


class _Answer(msgspec.Struct, frozen=True):
    models: tuple[_Running, ...] = ()


async def placement(host: str, model: str) -> Placement | None:
    """None where no Ollama server answers at `host`. Takes up to _TIMEOUT_S."""
    models = await _models(host, RUNNING)
    if models is None:
        return None
    running = next((one for one in models if ollama_name(one.model) == ollama_name(model)), None)
    if running is None:
        return Placement(model, loaded=False)
    return Placement(
        model,
        loaded=True,
        size_mib=running.size // _MIB,
        vram_mib=running.size_vram // _MIB,
        context_length=running.context_length,
    )


async def held(host: str) -> dict[str, int]:
    """MiB of graphics memory by the full name of each model that is loaded there; empty where no server answers."""
    return {ollama_name(one.model): one.size_vram // _MIB for one in await _models(host, RUNNING) or ()}


async def has(host: str, model: str) -> bool:
    """Whether a server answers there that has this model on its disk. Takes up to _TIMEOUT_S."""
    return any(ollama_name(one.model) == ollama_name(model) for one in await _models(host, ON_DISK) or ())


async def unload(host: str, model: str) -> bool:
    """Have the server take this model out of its memory, also where another program uses it. False where it does not
    say that it did. Takes up to _UNLOAD_S. (An empty prompt with keep_alive 0, as Ollama's API reference has it.)"""
    url = host.rstrip("/") + GENERATE
    try:
        async with asyncio.timeout(_UNLOAD_S), _client(url) as client:
            answer = await client.post(url, json={"model": model, "keep_alive": 0}, timeout=_UNLOAD_S)
            return answer.is_success
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return False


async def _models(host: str, page: str) -> tuple[_Running, ...] | None:
    """None where no Ollama server answers."""
    try:
        return msgspec.json.decode(await _get(host.rstrip("/") + page), type=_Answer).models
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
        return None


def problems(found: Placement | None, wanted_num_ctx: int, has_card: bool) -> list[str]:
    """A sentence each, with the way out. Pure. wanted_num_ctx: `llm.num_ctx`. has_card: whether this machine has a
    graphics card; without one a model that is wholly on the CPU is where it has to be."""
    if found is None:
        return ["Ollama does not answer: texts stay as they were recognised. Start it, or correct llm.host"]
    if not found.loaded:
        return [
            f"Ollama does not have {found.model} in memory: texts stay as they were recognised until it is loaded, "
            "which the next one sets off"
        ]
    partly = _partly_on_cpu(found) if has_card or found.vram_mib else None
    return [problem for problem in (partly, _other_context(found, wanted_num_ctx)) if problem is not None]


def _partly_on_cpu(found: Placement) -> str | None:
    if found.vram_mib >= found.size_mib:
        return None
    return (
        f"Ollama runs {found.model} with {_gb(found.vram_mib)} of {_gb(found.size_mib)} GB on the graphics card: "
        "corrections are slow. Free graphics memory and restart Ollama, or choose a smaller llm.model"
    )


def _other_context(found: Placement, wanted: int) -> str | None:
    if found.context_length in (None, wanted):
        return None
    return (
        f"Ollama runs {found.model} with {found.context_length} tokens of context instead of {wanted}: another program "
        "uses the same model, and each change loads it anew. Give that program another model, or set llm.num_ctx to "
        "what it uses"
    )


def _gb(mib: int) -> str:
    """10^9 bytes, as `ollama ps` shows them."""
    return f"{mib * _MIB / 1e9:.1f}"


async def _get(url: str) -> bytes:
    async with asyncio.timeout(_TIMEOUT_S), _client(url) as client:
        return (await client.get(url)).raise_for_status().content


def _client(url: str) -> httpx.AsyncClient:
    # A transport of its own goes through no proxy named in the environment; it needs certificates for https only,
    # and reading them takes longer than the request.
    transport = httpx.AsyncHTTPTransport(verify=url.startswith("https:"))
    return httpx.AsyncClient(transport=transport, trust_env=False)
