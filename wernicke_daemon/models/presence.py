"""Which of the models that a config names are on this machine, and how to get those that are not."""

from typing import NamedTuple

from ipc.errors import WernickeError
from wernicke_daemon.config.schema import Config
from wernicke_daemon.models import catalog, hub
from wernicke_daemon.models.catalog import Model


class ModelsMissing(WernickeError):
    """The daemon never downloads; the message says what does."""

    code = "MODELS_MISSING"


class Missing(NamedTuple):
    """how: one sentence on how to get it. model.instead: what runs without it; "" where nothing does."""

    model: Model
    how: str


def missing(config: Config) -> list[Missing]:
    """The models whose files are not on this machine. Reads no file's content but a pipeline's; asks no server, so that
    a model in Ollama is not among them. config: with its profile applied."""
    hub.prepare(offline=False)
    kept = [model for model in catalog.named(config) if model.keeper == "hub"]
    return [Missing(model, how) for model in kept if (how := _how_to_get(model, config))]


def refuse_without(config: Config) -> None:
    """Raises ModelsMissing where the daemon could not serve with this config. config: with its profile applied."""
    found = [f"{model.name} for {model.purpose} ({how})" for model, how in missing(config) if not model.instead]
    if found:
        raise ModelsMissing(
            f"{'This model is' if len(found) == 1 else 'These models are'} not on this machine: {'; '.join(found)}. "
            "Or start with --profile embedded, which needs no model and serves English."
        )


def absence(model: Model, config: Config) -> str:
    """Why the model can't be used, and how to get it; empty where it is there."""
    if model.keeper == "hub":
        return _how_to_get(model, config)
    from wernicke_daemon.models import ollama_models

    try:
        ollama_models.check(config.llm.host, model.name)
    except ollama_models.NotInOllama as error:
        return str(error)
    return ""


def _how_to_get(model: Model, config: Config) -> str:
    """Empty where it is there.

    Names the profile: `auto` chooses by what is free of the card, and `pull` by the whole of it."""
    lacking = hub.lacking(model)
    if not lacking:
        return ""
    if not hub.is_cached(model):
        return f"the directory lacks {', '.join(lacking)}: complete it"
    pull = f"run `wernicke models pull --profile {config.runtime.profile}`"
    if not model.gated:
        return pull
    page = f"{hub.HUB}/{model.name}"
    return f"accept its licence at {page} if it asks for that, put a token from {hub.TOKENS} into HF_TOKEN, {pull}"
