"""Runs all checks in order: looks up the facts that each needs and has `checks` judge them.

A check that can't be made is reported as failed, and the next one is made.
"""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ipc import event_loop
from wernicke_daemon.config.schema import Config
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.doctor import checks, facts
from wernicke_daemon.doctor.checks import Check
from wernicke_daemon.doctor.facts import OllamaFacts
from wernicke_daemon.hardware import budget, machine, profiles
from wernicke_daemon.models import hub, ollama_placement, presence


class Seen(NamedTuple):
    """What several checks need."""

    config: Config  # with its profile applied
    probe: dict[str, Any]  # what `stages.process.probe` said; empty where it did not answer
    problem: str  # why it did not
    loaded: dict[str, int]  # of `ollama_placement.held`
    ollama: OllamaFacts  # what its server says of itself
    running: bool  # whether this daemon runs already

    @property
    def card(self) -> dict[str, Any] | None:
        """The first; None without one."""
        return next(iter(self.cards), None)

    @property
    def cards(self) -> list[dict[str, Any]]:
        return _cards(self.probe)

    @property
    def held_mib(self) -> int:
        return budget.held(self.config, self.loaded)


def examine(config: Config, ray: bool = False) -> Iterator[Check]:
    """All checks, in the order in which they are shown. config: as it was read, without its profile. ray: those of the
    nodes of a Ray cluster, too."""
    hub.prepare(offline=False)
    seen, profile = _look(config)
    yield profile
    for name, look in CHECKS.items():
        yield from _safely(name, look, seen)
    if ray:
        yield from _safely("Ray", _ray, seen)


def _look(config: Config) -> tuple[Seen, Check]:
    probe, problem = _probe()
    running = facts.is_daemon(config)
    loaded = event_loop.run(ollama_placement.held(config.llm.host)) if config.correction.engine != "none" else {}
    applied, profile = _profile(config, machine.emptied(_cards(probe)) if running else _cards(probe), loaded)
    return Seen(applied, probe, problem, loaded, facts.ollama(applied), running), profile


def _safely(name: str, look: Callable[[Seen], Iterator[Check]], seen: Seen) -> Iterator[Check]:
    """What `look` finds; where it raises, a failed check of that name."""
    try:
        yield from look(seen)
    except Exception as error:
        yield Check(name, False, f"could not be looked at ({type(error).__name__}: {error})", "report this as a fault")


def _probe() -> tuple[dict[str, Any], str]:
    try:
        return facts.probe(), ""
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        return {}, f"what looks at the graphics card failed: {error}"


def _cards(probe: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = probe.get("cards", {}).get("found", [])
    return found


def _profile(config: Config, cards: list[dict[str, Any]], loaded: dict[str, int]) -> tuple[Config, Check]:
    """The settings in force, and how they were chosen. cards: as if empty where the daemon runs already, since what is
    taken of them is the daemon's."""
    try:
        choice = profiles.choose(config, cards, loaded)
    except ConfigError as error:
        fix = "make room on the card" if cards else f"install the NVIDIA driver from {checks.DRIVERS} and restart"
        applied = profiles.applied(config, config.runtime.profile)
        return applied, Check("profile", False, str(error), f'{fix}, or set runtime.profile = "auto"')
    return profiles.applied(config, choice.profile), Check("profile", True, f"{choice.profile}: {choice.why}")


def _python(seen: Seen) -> Iterator[Check]:
    yield checks.python(sys.version_info[:2], facts.bits())


def _packages(seen: Seen) -> Iterator[Check]:
    gpu = bool(checks.torch_devices(seen.config))
    needed = facts.requirements(gpu)
    yield checks.packages(facts.package_problems(needed), len(needed), gpu)


def _runtime(seen: Seen) -> Iterator[Check]:
    if os.name == "nt":
        yield checks.vc_runtime(facts.vc_runtime())


def _graphics(seen: Seen) -> Iterator[Check]:
    config, card = seen.config, seen.card
    if not seen.probe:
        fix = f"restart the machine; if that does not help, install the driver anew from {checks.DRIVERS}"
        yield Check("graphics card", False, seen.problem, fix)
        return
    yield checks.driver(card, config, sys.platform)
    if seen.running and card:
        yield Check("GPU memory", True, f"the daemon is running; {card['free_mib']} MiB are left")
    else:
        yield checks.memory(card, config, seen.held_mib)
        for number in sorted(budget.cards(config) - {0}):
            if number < len(seen.cards):
                yield checks.memory(seen.cards[number], config, 0, number)
    yield checks.replicas(config, len(seen.cards))
    yield checks.cublas(seen.probe["cublas"], config)
    yield checks.ctranslate2(seen.probe["ctranslate2"], config)
    yield checks.torch(seen.probe["torch"], config)


def _models(seen: Seen) -> Iterator[Check]:
    config = seen.config
    absent = {model: presence.absence(model, config) for model in presence.named(config)}
    for model, absence in absent.items():
        yield checks.model(model, absence)
    gated = [model.name for model, absence in absent.items() if absence and model.gated]
    yield checks.token(gated, hub.has_token(), hub.HUB, hub.TOKENS)


def _ollama(seen: Seen) -> Iterator[Check]:
    yield checks.ollama(seen.config, seen.ollama.problem)
    if seen.config.correction.engine != "none" and not seen.ollama.problem:
        yield checks.placement(seen.ollama.size, seen.ollama.size_vram, card=seen.card is not None)


def _port(seen: Seen) -> Iterator[Check]:
    yield checks.port(seen.config.port, facts.port_trouble(seen.config), seen.running)
    if seen.config.web.enabled:
        trouble = facts.pages_port_trouble(seen.config)
        yield checks.port(seen.config.web.port, trouble, seen.running, "port of the pages")


def _machine(seen: Seen) -> Iterator[Check]:
    path = seen.config.data_path
    yield checks.shared_memory(seen.config, facts.shared_memory_size())
    yield checks.data_directory(str(path), facts.write_problem(path))
    yield checks.disk_space(seen.config, facts.free_space(path))


def _settings(seen: Seen) -> Iterator[Check]:
    yield checks.time_outs(seen.config)
    yield checks.microphone()


def _ray(seen: Seen) -> Iterator[Check]:
    found = facts.ray(seen.config)
    if "problem" in found:
        yield Check("Ray", False, found["problem"], found["fix"])
    for node in found.get("nodes", ()):
        yield checks.node(node, facts.own_version(), seen.config.runtime.profile)


CHECKS: dict[str, Callable[[Seen], Iterator[Check]]] = {
    "Python": _python,
    "packages": _packages,
    "Visual C++ runtime": _runtime,
    "graphics card": _graphics,
    "models": _models,
    "Ollama": _ollama,
    "port": _port,
    "machine": _machine,
    "settings": _settings,
}
