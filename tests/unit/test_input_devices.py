"""Which input device is opened, and how."""

from typing import Any

import pytest

from wernicke_daemon.commands.input_devices import InputDevice, choose, formats, input_devices, listing
from wernicke_daemon.formats.audio_files import MediaError

SYSTEMS = [{"name": "MME"}, {"name": "Windows WASAPI"}]


def device(index: int, name: str, system: int, channels: int, rate: float) -> dict[str, Any]:
    """As sounddevice has it."""
    return {
        "index": index,
        "name": name,
        "hostapi": system,
        "max_input_channels": channels,
        "max_output_channels": 2,
        "default_samplerate": rate,
    }


TOLD = [
    device(0, "Speakers", 0, 0, 44_100.0),
    device(1, "Microphone Array", 0, 2, 44_100.0),
    device(2, "USB Interface", 0, 2, 44_100.0),
    device(3, "Microphone Array", 1, 4, 48_000.0),
    device(4, "USB Interface", 1, 2, 192_000.0),
    device(5, "USB Headset", 1, 1, 16_000.0),
]
DEVICES = input_devices(TOLD, SYSTEMS, default=1)


def test_only_what_records_is_offered() -> None:
    """With its system, and the default marked."""
    assert [found.index for found in DEVICES] == [1, 2, 3, 4, 5]
    assert DEVICES[3] == InputDevice(4, "USB Interface", "Windows WASAPI", 2, 192_000, is_default=False)
    assert listing(DEVICES).splitlines()[0] == "* 1  Microphone Array (MME), 2 channels, 44100 Hz"
    assert listing(DEVICES).splitlines()[4] == "  5  USB Headset (Windows WASAPI), 1 channel, 16000 Hz"
    assert listing([]) == "There are no input devices.\n"


@pytest.mark.parametrize(
    ("wanted", "index"),
    [(None, 1), ("4", 4), ("headset", 5), ("usb interface", 2), ("Microphone Array", 1)],
)
def test_a_device_is_named_by_number_or_part_of_its_name(wanted: str | None, index: int) -> None:
    """Where several systems offer it, the default's is taken."""
    assert choose(DEVICES, wanted).index == index


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("9", "no input device '9'"), ("0", "no input device"), ("webcam", "--list-devices")],
)
def test_what_is_not_there_is_said(wanted: str, words: str) -> None:
    """A device that only plays can't be listened to."""
    with pytest.raises(MediaError, match=words):
        choose(DEVICES, wanted)


def test_several_of_one_name_are_listed() -> None:
    """Their numbers say which is which."""
    twins = input_devices([device(7, "USB Mic", 0, 1, 48e3), device(8, "USB Mic", 0, 1, 48e3)], SYSTEMS, None)
    with pytest.raises(MediaError, match="7, 8"):
        choose(twins, "usb mic")
    with pytest.raises(MediaError, match="No microphone was found"):
        choose(twins, None)
    with pytest.raises(MediaError, match="No microphone was found"):
        choose([], "usb mic")


def first(count: int, channels: int, rate: int) -> list[tuple[int, int]]:
    found = formats(InputDevice(0, "", "", channels, rate, is_default=True))
    return [each for each, _ in zip(found, range(count), strict=False)]


def test_the_devices_own_rate_and_all_its_channels_come_first() -> None:
    """A voice may be on any input; a sound server that tells 32 has two."""
    assert first(4, 2, 192_000) == [(192_000, 2), (192_000, 1), (48_000, 2), (48_000, 1)]
    assert first(2, 4, 48_000) == [(48_000, 4), (48_000, 2)]
    assert first(3, 32, 44_100) == [(44_100, 2), (44_100, 32), (44_100, 1)]
    assert first(2, 1, 16_000) == [(16_000, 1), (48_000, 1)]
    assert len(set(first(100, 2, 48_000))) == 10
