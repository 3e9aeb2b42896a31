"""Options that several commands share, and the settings that they choose."""

import argparse
import os
from pathlib import Path
from typing import TypeAlias, get_args

from wernicke_daemon.client import DEFAULT_URL
from wernicke_daemon.config.load import load, overrides
from wernicke_daemon.config.schema import Config, Profile

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What each command module's `add_commands` registers in. A command's parser sets `command`: a function from the parsed
arguments to an exit code."""


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="PATH", help="settings; config.toml where there is one")


def add_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        choices=get_args(Profile),
        help="which engines and models; embedded: those that need no download, and English",
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """Which daemon to talk to, of this machine or another."""
    _add_server(parser, DEFAULT_URL, "the server (default: %(default)s)")


def add_remote(parser: argparse.ArgumentParser) -> None:
    """For commands that read what is kept on this machine, and with a url what another machine's daemon has kept."""
    _add_server(parser, None, f"ask the daemon there, as in {DEFAULT_URL} (default: what is kept on this machine)")


def _add_server(parser: argparse.ArgumentParser, url: str | None, sentence: str) -> None:
    parser.add_argument("--url", default=url, help=sentence)
    parser.add_argument(
        "--token", default=os.environ.get("WERNICKE_TOKEN"), help="the server's token (default: $WERNICKE_TOKEN)"
    )
    parser.add_argument("--cafile", type=Path, metavar="FILE", help="a wss:// server's certificate, of `wernicke cert`")


def add_language(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", help="what is spoken, like ja or en, or auto (default: the server's)")


def add_live_file(parser: argparse.ArgumentParser) -> None:
    sentence = "append the results to this file as they come; its last line, without an end, is what is being said"
    parser.add_argument("--live-file", type=Path, metavar="PATH", help=sentence)


def settings(args: argparse.Namespace) -> Config:
    """Those that the daemon runs with, for all commands alike. args: of `add_config`. Raises ConfigError."""
    return load(args.config or _config_of_checkout())


def base(args: argparse.Namespace) -> Path:
    """The folder that paths in those settings start from, whether they can be read or not. args: of `add_config`."""
    file = args.config or _config_of_checkout()
    return Path.cwd() if file is None else Path(file).resolve().parent


def profile_settings(args: argparse.Namespace) -> Config:
    """With the profile named, not applied yet. args: of `add_config` and `add_profile`. Raises ConfigError."""
    return overrides(settings(args), profile=args.profile)


def planned_settings(args: argparse.Namespace) -> Config:
    """With the profile applied, whether there is room for it now or not. args: of `add_config` and `add_profile`.

    Raises ConfigError."""
    from wernicke_daemon.hardware.machine import planned

    return planned(profile_settings(args))


def _config_of_checkout() -> Path | None:
    """The config.toml beside run_daemon.py, wherever that is started from; None leaves it to `config.load`."""
    root = Path(__file__).resolve().parents[2]
    file = root / "config.toml"
    return file if file.exists() and (root / "run_daemon.py").exists() else None
