"""`wernicke enroll` and `wernicke voices`: people that sessions know by their voice.

The file of the kept voices is `records/voices_file.py`. No daemon is asked; one that runs takes notice with its next
session.
"""

import argparse
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ipc import event_loop
from wernicke_daemon.client import MONO_16K, Exit
from wernicke_daemon.commands import options
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.outputs import note
from wernicke_daemon.config.schema import Config
from wernicke_daemon.formats.media import STDIN
from wernicke_daemon.wire.protocol import utc_text

if TYPE_CHECKING:
    from wernicke_daemon.formats.sample_track import Mono
    from wernicke_daemon.records.voices_file import KeptVoice, VoicesFile
    from wernicke_daemon.utterances.voiceprints import Voiceprint


def add_commands(commands: Subparsers) -> None:
    enroll = commands.add_parser("enroll", help="keep somebody's voice, so that sessions know who that is")
    enroll.add_argument("name", metavar="NAME", help="of the only person who speaks in the files")
    enroll.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="audio or video; some 20 s of speech are good"
    )
    options.add_config(enroll)
    options.add_profile(enroll)
    enroll.set_defaults(command=_enroll)
    voices = commands.add_parser("voices", help="list the voices that are kept, or delete them")
    options.add_config(voices)
    voices.add_argument("--json", action="store_true", help="for programs")
    voices.set_defaults(command=_list)
    delete = voices.add_subparsers(metavar="COMMAND").add_parser("delete", help="forget somebody's voice")
    delete.add_argument("name", metavar="NAME")
    options.add_config(delete)
    delete.set_defaults(command=_delete)


def _enroll(args: argparse.Namespace) -> int:
    """Raises BadName, CanNotEnrol, MediaError, StartFailed, VoicesUnusable."""
    from wernicke_daemon.utterances.titles import checked

    name = checked(args.name)
    config = options.planned_settings(args)
    made = event_loop.run(_voiceprint(name, config, args.files))
    _file(config).enrol(made, time.time())
    print(
        f"{name} is enrolled: {made.seconds:.0f} s of speech ({made.model}). Sessions that begin now know this voice."
    )
    return Exit.OK


async def _voiceprint(name: str, config: Config, files: list[Path]) -> "Voiceprint":
    from wernicke_daemon.enrolment import voiceprint

    _only_what_is_wrong_is_logged()
    await _check(files)
    note("The diarization engine is being loaded, and listens then.")
    return await voiceprint(name, config, _audio(files))


def _only_what_is_wrong_is_logged() -> None:
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


async def _check(files: list[Path]) -> None:
    """Before the engine is loaded, which takes a while. What is no plain file can be opened once only."""
    from wernicke_daemon.formats.audio_files import reading

    for file in [file for file in files if file.is_file() or not file.exists()]:
        if file != STDIN:
            async with reading(file, MONO_16K.sample_rate):
                pass


async def _audio(files: list[Path]) -> "AsyncIterator[Mono]":
    from wernicke_daemon.formats.audio_files import reading

    for file in files:
        async with reading(file, MONO_16K.sample_rate) as audio:
            async for samples in audio.chunks():
                yield samples


def _list(args: argparse.Namespace) -> int:
    """Raises VoicesUnusable."""
    found = _file(options.settings(args)).listed()
    if args.json:
        print(msgspec.json.format(msgspec.json.encode([_plain(voice) for voice in found]), indent=2).decode())
    elif found:
        _print_table(found)
    else:
        print("No voices are kept. `wernicke enroll NAME FILE` keeps one.")
    return Exit.OK


def _delete(args: argparse.Namespace) -> int:
    """Raises NoVoice, NoTranscript, VoicesUnusable."""
    from wernicke_daemon.records import stored_speakers, transcript_file
    from wernicke_daemon.records.voices_file import NoVoice

    config = options.settings(args)
    forgotten = stored_speakers.forget(config.data_path / transcript_file.FILE_NAME, args.name)
    try:
        _file(config).delete(args.name)
    except NoVoice:
        if not forgotten:
            raise
    print(f"The voice of {args.name} is deleted.")
    return Exit.OK


def _file(config: Config) -> "VoicesFile":
    from wernicke_daemon.records.voices_file import FILE_NAME, VoicesFile

    return VoicesFile(config.data_path / FILE_NAME)


def _plain(voice: "KeptVoice") -> dict[str, object]:
    return {**msgspec.structs.asdict(voice), "kept": utc_text(voice.kept)}


def _print_table(found: "list[KeptVoice]") -> None:
    """Plain, as names may hold anything."""
    for voice in found:
        kept = datetime.fromtimestamp(voice.kept).strftime("%Y-%m-%d %H:%M")
        print(f"{voice.name}  ({voice.origin} {kept}, {voice.seconds:.0f} s of speech, {voice.model})")
