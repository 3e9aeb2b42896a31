"""Which input device, at which rate and with how many channels. Pure: decides on what sounddevice tells of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from wernicke_daemon.formats.audio_files import MediaError

USUAL_RATES = (48_000, 44_100, 192_000, 96_000, 16_000)
"""Hz; tried after the rate that a device prefers, as some tell of one that they can't be opened at."""

MOST_REAL_CHANNELS = 8
"""More are told by sound servers (ALSA's `default` tells 32, whatever is behind it): there two come first."""


class InputDevice(msgspec.Struct, frozen=True):
    """index: its number in PortAudio. system: the sound system that offers it (PortAudio's host API); Windows offers
    each device by several. channels: the most that it records. rate: Hz that it prefers."""

    index: int
    name: str
    system: str
    channels: int
    rate: int
    is_default: bool


def input_devices(
    devices: Iterable[Mapping[str, Any]], systems: Sequence[Mapping[str, Any]], default: int | None
) -> list[InputDevice]:
    """Those that record. devices, systems: of `query_devices` and `query_hostapis`. default: index of the device that
    the system records from, None where there is none."""
    return [
        InputDevice(
            device["index"],
            str(device["name"]),
            str(systems[device["hostapi"]]["name"]),
            int(device["max_input_channels"]),
            round(device["default_samplerate"]),
            device["index"] == default,
        )
        for device in devices
        if device["max_input_channels"] > 0
    ]


def choose(devices: Sequence[InputDevice], wanted: str | None) -> InputDevice:
    """wanted: a number of the list, or (a part of) a name in any case; None for the system's own. Raises MediaError."""
    found = list(_wanted(devices, wanted))
    if len(found) == 1:
        return found[0]
    if not devices or (wanted is None and not found):
        raise MediaError("No microphone was found; connect one and allow this program to use it.")
    if not found:
        raise MediaError(f"There is no input device {wanted!r}; `wernicke listen --list-devices` shows them.")
    numbers = ", ".join(str(device.index) for device in found)
    raise MediaError(f"Several input devices are called {wanted!r}: {numbers}. Give the number of one of them.")


def _wanted(devices: Sequence[InputDevice], wanted: str | None) -> Iterable[InputDevice]:
    if wanted is None:
        return [device for device in devices if device.is_default]
    if wanted.isdecimal():
        return [device for device in devices if device.index == int(wanted)]
    name = wanted.casefold()
    exact = [device for device in devices if device.name.casefold() == name]
    return _of_one_system(exact or [device for device in devices if name in device.name.casefold()], devices)


def _of_one_system(found: list[InputDevice], devices: Sequence[InputDevice]) -> list[InputDevice]:
    """Where several sound systems offer the same, that of the default device is taken."""
    systems = {device.system for device in devices if device.is_default}
    return [device for device in found if device.system in systems] or found


def formats(device: InputDevice) -> Iterator[tuple[int, int]]:
    """(rate in Hz, channels) in the order in which they are to be tried: the device's own first, with all its channels,
    as a voice may be on any of them."""
    channels = [device.channels, 2, 1] if device.channels <= MOST_REAL_CHANNELS else [2, device.channels, 1]
    for rate in dict.fromkeys((device.rate, *USUAL_RATES)):
        yield from ((rate, count) for count in dict.fromkeys(channels) if count <= device.channels)


def listing(devices: Sequence[InputDevice]) -> str:
    """One line a device, the default marked with a star."""
    if not devices:
        return "There are no input devices.\n"
    width = max(len(str(device.index)) for device in devices)
    return "".join(f"{_line(device, width)}\n" for device in devices)


def _line(device: InputDevice, width: int) -> str:
    mark = "*" if device.is_default else " "
    channels = f"{device.channels} channel{'s' if device.channels > 1 else ''}"
    return f"{mark} {device.index:>{width}}  {device.name} ({device.system}), {channels}, {device.rate} Hz"
