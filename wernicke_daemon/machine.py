"""What this machine is, and so which profile it runs."""

import asyncio

from ipc import gpu
from wernicke_daemon import ollama_watch, profiles
from wernicke_daemon.config import Config
from wernicke_daemon.profiles import Choice


def resolved(config: Config) -> tuple[Config, Choice]:
    """The settings to run with, and how their profile was chosen. Raises ConfigError where the card has no room."""
    choice = profiles.choose(config, gpu.figures(), _held_mib(config))
    return profiles.applied(config, choice.profile), choice


def planned(config: Config) -> Config:
    """The settings to run with once there is room on the card."""
    if config.runtime.profile != "auto":
        return profiles.applied(config, config.runtime.profile)
    return resolved(config)[0]


def _held_mib(config: Config) -> int:
    """What Ollama has loaded of our model already is not free, and needs no more room either."""
    llm = config.llm
    if config.correction.engine == "none" or gpu.figures() is None:
        return 0
    placement = asyncio.run(ollama_watch.placement(llm.host, llm.model))
    return placement.vram_mib if placement else 0
