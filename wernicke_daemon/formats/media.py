"""Opening what FFmpeg reads: files by their path; pipes and standard input, which are read once."""

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from ipc.errors import WernickeError

if TYPE_CHECKING:
    from av.container import InputContainer

STDIN = Path("-")

_STDIN_DESCRIPTOR = 0
_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 12
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""With which files of the ISO base media format begin (mp4, m4a, mov; ISO/IEC 14496-12), behind a length of 4 bytes."""


class MediaError(WernickeError):
    """Audio can't be read; the message names the file or device."""

    code = "INPUT_UNREADABLE"


def name(source: Path) -> str:
    """For sentences."""
    return "standard input" if source == STDIN else str(source)


@contextmanager
def opened(source: Path) -> "Iterator[InputContainer]":
    """source: of a file or pipe; STDIN. Blocks until a pipe has something to read. Raises MediaError, OSError,
    ValueError or av.FFmpegError."""
    with ExitStack() as stack:
        if _is_pipe(source):
            pipe = stack.enter_context(_open_pipe(source))
            container = _container(*stack.enter_context(_readable(pipe)))
        else:  # absolute, as FFmpeg takes "2026-01-01T10:30.wav" for an address
            container = _container(str(source.absolute()), _head_of(source))
        yield stack.enter_context(container)


def _container(file: Any, head: bytes) -> "InputContainer":
    """file: a path, or what can be read. head: its first bytes."""
    import av

    try:
        container: InputContainer = av.open(file)
        return container
    except av.InvalidDataError:
        if _is_mp4(head):
            raise MediaError("its index is missing; it was not recorded or copied to its end") from None
        raise


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in _MP4_BOXES


def _head_of(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""  # FFmpeg says what is wrong


# --- joined files ----------------------------------------------------------------------------------

NEAR_BYTES = 1 << 20
FAR_BYTES = 64 << 20
"""How much is searched: where audio breaks off; at its end, behind which may be an index."""

_BEGINNINGS = re.compile(
    rb"RIFF.{4}(?:WAVE|AVI )|RF64.{4}WAVE|FORM.{4}AIF[FC]|fLaC\0\0\0\x22|OggS\0\x02|caff\0\x01|FLV\x01"
    rb"|\x1a\x45\xdf\xa3|.{4}ftyp|\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    re.DOTALL,
)
"""Of WAVE, AVI, AIFF, FLAC, Ogg, CAF, FLV, Matroska, MP4 and ASF files."""

_LONGEST_BEGINNING = 16

_UNKNOWN_RIFF_BYTES = 0x7FFF_0000
"""Programs that write to a pipe put 0x7FFFFFFF less a header, 0x80000000 or 0xFFFFFFFF there."""


def joined_at(source: Path, start: int, within: int) -> int | None:
    """Where, in so many bytes from the byte `start` on, another file begins; None where none does, or the source is a
    pipe."""
    if _is_pipe(source):
        return None
    with source.open("rb") as file:
        file.seek(start)
        kept = b""
        for _ in range(within // _BLOCK_BYTES):
            block = kept + file.read(_BLOCK_BYTES)
            if found := _BEGINNINGS.search(block):
                return start + found.start()
            kept = block[-_LONGEST_BEGINNING:]
            start += len(block) - len(kept)
    return None


@contextmanager
def opened_at(source: Path, start: int) -> "Iterator[InputContainer]":
    """The file that begins at that byte of another one. Raises what `opened` does."""
    with source.open("rb") as file, _container(_Behind(file, start), b"") as container:
        yield container


def missing_share(source: Path, start: int) -> float:
    """How much an interrupted copy lacks of the file that begins at that byte, as a share of what is there: by what is
    at the head of WAVE and AVI files. 0 for others, in pipes, and where a recorder has not filled that in."""
    if _is_pipe(source):
        return 0.0
    with source.open("rb") as file:
        file.seek(start)
        head = file.read(_HEAD_BYTES)
        here = file.seek(0, os.SEEK_END) - start
    declared = int.from_bytes(head[4:8], "little") + 8
    return max(0.0, declared / here - 1) if head[:4] == b"RIFF" and declared < _UNKNOWN_RIFF_BYTES else 0.0


class _Behind:
    """A file from one of its bytes on, for PyAV."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.read = file.read
        self._file = file
        self._start = start
        file.seek(start)

    def seek(self, offset: int, whence: int) -> int:
        return self._file.seek(offset + self._start * (whence == os.SEEK_SET), whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start


# --- pipes -----------------------------------------------------------------------------------------


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Once:
    """A pipe as PyAV wants it: what can't be sought in has no `seek`. head: what was read of it already."""

    def __init__(self, head: bytes, pipe: _Readable) -> None:
        self._head = head
        self._pipe = pipe

    def read(self, size: int) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._pipe.read(size)


def _is_pipe(source: Path) -> bool:
    if source == STDIN:
        return True
    try:
        mode = source.stat().st_mode
    except (OSError, ValueError):
        return False  # FFmpeg says what is wrong
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _open_pipe(source: Path) -> Any:
    """Unbuffered: a buffered standard input can't be left to a thread that waits for it while the program ends."""
    if source != STDIN:
        return source.open("rb", buffering=0)
    if os.isatty(_STDIN_DESCRIPTOR):
        raise MediaError("it is a terminal; pipe a file into it")
    return open(_STDIN_DESCRIPTOR, "rb", buffering=0, closefd=False)


@contextmanager
def _readable(pipe: _Readable) -> Iterator[tuple[_Readable, bytes]]:
    """As it comes, but for formats whose index may be behind the audio: those are read to their end first. With its
    first bytes."""
    head = _read_head(pipe)
    if not _is_mp4(head):
        yield _Once(head, pipe), head
        return
    with tempfile.NamedTemporaryFile() as copy:  # PyAV wants it to have a name
        copy.write(head)
        while block := pipe.read(_BLOCK_BYTES):
            copy.write(block)
        copy.seek(0)
        yield copy.file, head


def _read_head(pipe: _Readable) -> bytes:
    head = b""
    while len(head) < _HEAD_BYTES and (more := pipe.read(_HEAD_BYTES - len(head))):
        head += more
    return head
