"""`wernicke listen`: the microphone to the server, results to the terminal as they come."""

import argparse
import asyncio
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ipc import event_loop
from wernicke_daemon.client import PATIENCE_S, Client, Exit, ParsedMessage, exchange, problem
from wernicke_daemon.commands import input_devices, options
from wernicke_daemon.commands.microphone import Microphone, devices
from wernicke_daemon.commands.options import Subparsers
from wernicke_daemon.commands.recorded import meter
from wernicke_daemon.commands.showing import Showing

_QUIET_S = 15.0
"""Seconds without a word from the server, which acknowledges audio every second, after which the line counts as
broken: a network that went away does not say so."""

_METER_EVERY = 2
"""Of the levels, which come every 0.1 s: a meter that changes five times a second can be read."""


def add_commands(commands: Subparsers) -> None:
    parser = commands.add_parser("listen", help="transcribe the microphone until Ctrl-C")
    parser.add_argument("--device", metavar="DEVICE", help="number or (part of the) name (default: the system's)")
    parser.add_argument("--list-devices", action="store_true", help="show what can be listened to, and end")
    options.add_live_file(parser)
    options.add_server(parser)
    options.add_language(parser)
    parser.set_defaults(command=_listen)


def _listen(args: argparse.Namespace) -> int:
    if args.list_devices:
        print(input_devices.listing(devices()), end="")
        return Exit.OK
    return event_loop.run(listen(args))


async def listen(args: argparse.Namespace) -> Exit:
    """Until Ctrl-C; the results of what was said before it still come. Raises BadOutput, ClientError, MediaError,
    TlsError."""
    showing = Showing(args.live_file, grows=True)
    microphone = Microphone(args.device, _shown(showing))
    problems: list[str] = []

    def receive(message: ParsedMessage) -> None:
        showing.take(message)
        if sentence := problem(message):
            problems.append(sentence)
            _say(f"error: {sentence}")

    client = Client(
        args.url,
        token=args.token,
        language=args.language,
        audio=microphone.format,
        events=showing.events,
        cafile=args.cafile,
        patience_s=math.inf,
        quiet_s=_QUIET_S,
        told=_say,
    )

    def finish() -> None:
        microphone.finish()
        client.patience_s = PATIENCE_S

    async with client:
        _say(f"Listening to {microphone.name} ({microphone.channels} × {microphone.rate} Hz); Ctrl-C ends.")
        with _on_interrupt(finish), showing:
            await exchange(client, microphone.record(), receive)
    return Exit.LOST if _lost(microphone) or problems else Exit.OK


def _lost(microphone: Microphone) -> bool:
    """Whether audio was, which is said."""
    if microphone.overflows:
        _say(f"warning: audio was lost {microphone.overflows} times, the computer is too busy.")
    if microphone.lost_s:
        _say(f"warning: {microphone.lost_s:.0f} s of audio were lost: the server could not be reached for too long.")
    return bool(microphone.overflows or microphone.lost_s)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _shown(showing: Showing) -> Callable[[Sequence[float]], None]:
    """What shows the highest of each few levels."""
    waiting: list[Sequence[float]] = []

    def show(levels: Sequence[float]) -> None:
        waiting.append(levels)
        if len(waiting) >= _METER_EVERY:
            showing.foot(meter([max(channel) for channel in zip(*waiting, strict=True)]))
            waiting.clear()

    return show


@contextmanager
def _on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C calls `act` on the event loop; a second one interrupts as usual.

    `signal.signal`, because event loops on Windows have no `add_signal_handler`.
    """
    loop = asyncio.get_running_loop()
    previous = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, previous)
        loop.call_soon_threadsafe(act)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
