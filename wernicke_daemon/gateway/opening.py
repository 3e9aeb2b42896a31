"""The opening of a connection: its HTTP request, and the first message of one that has to bring its token.

What the library does, and besides:

- A request that can't be read, or has a body, is answered before the connection ends, if it is HTTP at all.
- The address may be as long as one with the largest glossary is.
- Nothing behind a first message is looked at before its sender is let in: it may be larger than a stranger's may be.
"""

from collections.abc import Generator

from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.streams import StreamReader
from websockets.typing import LoggerLike

from wernicke_daemon.gateway.http_response import METHODS, error_response, method_not_allowed

LONGEST_REQUEST_LINE = 256 * 1024
"""Bytes: room for the largest glossary, whose 20,000 characters have up to 12 each when percent-encoded."""

LARGEST_START = 256 * 1024
"""Bytes of a first message: the same, as a character has up to 12 in JSON with escapes."""

SMALL_FRAME = 64 * 1024
"""Bytes. More is not taken in one message from who is turned away."""

TOO_LONG = (
    f"The address is longer than {LONGEST_REQUEST_LINE} bytes; send what is in its query as a start message instead."
)
TOO_MUCH = "The request has too many headers, or one above 8192 bytes; cookies are of no use here."
NO_BODY = "No request to this daemon has a body; audio is sent over a WebSocket, to /transcribe."
NOT_HTTP = "The request is not one of HTTP/1.1."


class OpeningReader(StreamReader):
    """request_line: the first line, as far as it is read. holding: nothing more is taken from here at present."""

    def __init__(self) -> None:
        super().__init__()
        self.request_line = b""
        self.holding = False

    def read_line(self, m: int, too_long_exc_type: type[Exception] = RuntimeError) -> Generator[None, None, bytearray]:
        """The library's, with another limit for the line that it reads first."""
        is_first = too_long_exc_type is RequestLineTooLong
        line = yield from super().read_line(LONGEST_REQUEST_LINE if is_first else m, too_long_exc_type)
        if is_first:
            self.request_line = bytes(line)
        return line

    def at_eof(self) -> Generator[None, None, bool]:
        """The library's, which it asks between frames."""
        while self.holding and not self.eof:
            yield
        return (yield from super().at_eof())


class OpeningProtocol(ServerProtocol):
    """reader: as above."""

    reader: OpeningReader

    def __init__(self, largest_message: int, logger: LoggerLike | None) -> None:
        """largest_message: bytes, of who is let in."""
        super().__init__(max_size=largest_message, logger=logger)
        self._largest_message = largest_message
        self._expects_token = False
        self.reader = OpeningReader()  # in place of the library's, before anything has come
        self.parser = self.parse()
        next(self.parser)

    def parse(self) -> Generator[None]:
        """As the library's, but for the answers, and that nothing is taken for a frame before the request is."""
        try:
            request = yield from Request.parse(self.reader.read_line)
        except EOFError:
            self.send_eof()
            self.parser = self.discard()
            next(self.parser)
            yield
            return
        except Exception as error:
            self._refuse(error)
            yield
            return
        self.events.append(request)
        while self.state is State.CONNECTING and not self.reader.eof:
            yield
        yield from super(ServerProtocol, self).parse()

    def _refuse(self, error: Exception) -> None:
        """What came is no request, or none that can be. What speaks no HTTP would not understand an answer."""
        if isinstance(error, RequestLineTooLong) or b" HTTP/" in self.reader.request_line:
            self.send_response(self._refusal(error))
            return
        self.send_eof()
        self.parser = self.discard()
        next(self.parser)

    def _refusal(self, error: Exception) -> Response:
        match error:
            case RequestLineTooLong():
                return error_response(414, TOO_LONG)
            case HeaderLineTooLong() | TooManyHeaders():
                return error_response(431, TOO_MUCH)
        method = self.reader.request_line.split(b" ")[0].decode("ascii", "replace")
        has_body = isinstance(error, NotImplementedError) or "body" in str(error)  # the library's two words for it
        if not has_body:
            return error_response(400, NOT_HTTP)
        return error_response(400, NO_BODY) if method in METHODS else method_not_allowed()

    # --- the first message ---

    def expect_token(self) -> None:
        """Take one message, of up to LARGEST_START, and nothing more before `go_on`."""
        self._expects_token = True
        self.max_message_size = LARGEST_START

    def go_on(self, let_in: bool) -> None:
        """Take messages as large as they may be, or only small ones from who is turned away."""
        self.max_message_size = self._largest_message if let_in else SMALL_FRAME
        self._expects_token = self.reader.holding = False

    def recv_frame(self, frame: Frame) -> None:
        super().recv_frame(frame)
        if self._expects_token and frame.fin and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.reader.holding = True
