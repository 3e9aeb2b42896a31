"""The process that decodes one upload: `python -m wernicke_daemon.web.openai.decode SOURCE TARGET MOST_S WITHIN_S`.

A file from anybody may crash a decoder, hang it or be endless; so it is read here, where that harms nobody. TARGET gets
16 kHz mono s16le. Where that can't be, a sentence goes to stdout, and the exit code is not 0.
"""

import faulthandler
import sys
from pathlib import Path

import numpy as np

from ipc.audio_handle import SAMPLE_RATE
from ipc.errors import WernickeError
from wernicke_daemon.formats.audio_files import CHUNK_S, AudioFile, told


class TooLong(WernickeError):
    code = "INPUT_UNREADABLE"


def main(source: str, target: str, most_s: str, within_s: str) -> int:
    """most_s: seconds of sound that are taken. within_s: seconds after which the process ends, whatever it does."""
    faulthandler.dump_traceback_later(float(within_s), exit=True)
    try:
        with told("The file can't be read"):
            _decode(Path(source), Path(target), float(most_s))
    except WernickeError as error:
        sys.stdout.buffer.write(str(error).encode())  # a console may have another encoding
        return 1
    return 0


def _decode(source: Path, target: Path, most_s: float) -> None:
    file = AudioFile(source, SAMPLE_RATE, None)
    with target.open("wb") as out:
        for chunk in file.chunks(CHUNK_S):
            out.write((np.clip(chunk, -1.0, 1.0) * 32_767).astype("<i2").tobytes())
            if file.seconds > most_s:
                raise TooLong(f"The file is longer than {most_s:g} s, which is the most that is taken (web.upload_s).")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
