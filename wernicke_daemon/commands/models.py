"""`wernicke models pull|list|verify|where`: options, tables and sentences; what is known of models is in `models/`.

What is heavy is imported by the action that needs it.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipc.errors import WernickeError
from wernicke_daemon.commands import options
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.config.schema import Config
from wernicke_daemon.models import hub, presence
from wernicke_daemon.models.catalog import Model
from wernicke_daemon.models.hub import NotFetched

Action = Callable[[Config, argparse.Namespace], int]


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("models", help="get and look after the models that config.toml names")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, action, text in (
        ("pull", _pull, "fetch what is missing, from the Hugging Face hub and Ollama"),
        ("list", _list, "show them, and what is here"),
        ("verify", _verify, "compare their files with the hub's hashes"),
        ("where", _where, "print their directories, one a line, for scripts; Ollama keeps its own"),
    ):
        one = actions.add_parser(name, help=text)
        options.add_config(one)
        options.add_profile(one)
        one.set_defaults(command=_command(action), offline=False)
        if name in ("pull", "verify"):
            one.add_argument("--offline", action="store_true", help="do not ask the Hugging Face hub")
        if name == "list":
            one.add_argument("--json", action="store_true", help="for programs")


def _command(action: Action) -> Callable[[argparse.Namespace], int]:
    def command(args: argparse.Namespace) -> int:
        hub.prepare(args.offline)
        return action(options.planned_settings(args), args)

    return command


# --- the four ----------------------------------------------------------------------------------------


def _pull(config: Config, args: argparse.Namespace) -> int:
    """One after another. A model that can't be fetched is reported at the end; the others are fetched all the same."""
    failed = []
    for model in presence.named(config):
        print(f"{model.purpose}: {model.name}", flush=True)
        try:
            _fetch(model, config)
        except WernickeError as error:
            failed.append((model, error))
        print("  not fetched" if failed and failed[-1][0] is model else "  here", flush=True)
    if failed:
        print(f"\nNot fetched, {len(failed)} of {len(presence.named(config))}:")
        print(*(f"  {model.name}: {error}{_without(model)}" for model, error in failed), sep="\n")
    return int(any(not model.instead for model, _ in failed))


def _fetch(model: Model, config: Config) -> None:
    """Raises NotFetched, NotInOllama."""
    if hub.is_offline():
        if presence.absence(model, config):
            raise NotFetched("that takes the network: leave --offline out, and HF_HUB_OFFLINE unset")
    elif model.keeper == "hub":
        hub.fetch(model)
    else:
        from rich.console import Console

        from wernicke_daemon.models import ollama_models

        ollama_models.pull(config.llm.host, model.name, Console(stderr=True))


def _without(model: Model) -> str:
    return f" (without it: {model.instead})" if model.instead else ""


def _list(config: Config, args: argparse.Namespace) -> int:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = [_row(model, config) for model in presence.named(config)]
    if args.json:
        print(json.dumps({"models": rows}, indent=2, ensure_ascii=False))
        return 0
    table = Table("for", "model", "MB", "here", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(row["for"], row["name"], _megabytes(row["size_bytes"]), "yes" if row["present"] else "no")
    Console(markup=False, highlight=False).print(table)
    for row in rows:
        if row["get"]:
            print(f"{row['name']}: {row['get']}")
    return 0


def _row(model: Model, config: Config) -> dict[str, Any]:
    get = presence.absence(model, config)
    return {
        "for": model.purpose,
        "name": model.name,
        "kept_by": model.keeper,
        "size_bytes": _size(model, config),
        "present": not get,
        "get": get,
        "instead": model.instead,
    }


def _size(model: Model, config: Config) -> int | None:
    if model.keeper == "ollama":
        from wernicke_daemon.models import ollama_models

        return ollama_models.size(config.llm.host, model.name)
    return sum(path.stat().st_size for path in hub.located(model).values())


def _megabytes(size: int | None) -> str:
    return "-" if not size else f"{size / 1e6:,.0f}"


def _verify(config: Config, args: argparse.Namespace) -> int:
    all_good = True
    for model in presence.named(config):
        good, lines = _verdict(model, config)
        all_good = all_good and good
        for line in lines:
            print(f"{model.name}: {line}", flush=True)
    return 0 if all_good else 1


def _verdict(model: Model, config: Config) -> tuple[bool, list[str]]:
    """Whether all is well, and sentences."""
    if how := presence.absence(model, config):
        return False, [how]
    if model.keeper == "ollama":
        return True, ["good, by Ollama's word"]
    verdict = hub.verify(model)
    files = len(hub.located(model))
    said = f"good; {verdict.compared} of {files} files compared with the hub's hashes"
    return not verdict.problems, verdict.problems or [said]


def _where(config: Config, args: argparse.Namespace) -> int:
    folders = [hub.folder(model) for model in presence.named(config) if model.keeper == "hub"]
    for folder in dict.fromkeys(map(Path.absolute, folders)):
        print(folder)
    return 0
