"""What was read is taken in pieces, in order, all of it, with turns for others between."""

import asyncio
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.gateway import small_reads
from wernicke_daemon.gateway.small_reads import SmallReads


class Transport(asyncio.Transport):
    """Knows whether it reads."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 7


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_reads, "PIECE_BYTES", 3)


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_little_is_taken_at_once() -> None:
    taken: list[bytes] = []
    transport = Transport()
    SmallReads(transport, taken.append).received(b"abc")
    assert taken == [b"abc"] and transport.reading


async def test_others_have_their_turn_between_pieces() -> None:
    """One piece a turn, and nothing more is read before the last is taken."""
    taken: list[bytes] = []
    transport = Transport()
    SmallReads(transport, taken.append).received(b"abcdefgh")
    seen = [(list(taken), transport.reading)]
    for _ in range(2):
        await turns(1)
        seen.append((list(taken), transport.reading))
    assert seen == [
        ([b"abc"], False),
        ([b"abc", b"def"], False),
        ([b"abc", b"def", b"gh"], True),
    ]


async def test_what_is_read_meanwhile_comes_after() -> None:
    """TLS may have decrypted more before it heard of the pause."""
    taken: list[bytes] = []
    reads = SmallReads(Transport(), taken.append)
    reads.received(b"abcd")
    reads.received(b"ef")
    await turns()
    assert taken == [b"abc", b"def"]


async def test_a_pause_in_the_middle_holds_the_rest() -> None:
    """Its protocol has enough after the first piece; reading goes on where it stopped."""
    taken: list[bytes] = []
    transport = Transport()

    def take(piece: bytes) -> None:
        taken.append(piece)
        reads.pause_reading()

    reads = SmallReads(transport, take)
    reads.received(b"abcdef")
    await turns()
    assert taken == [b"abc"] and not transport.reading
    reads.resume_reading()
    await turns()
    assert taken == [b"abc", b"def"] and not transport.reading
    reads.resume_reading()
    assert transport.reading


async def test_at_the_end_all_is_taken_though_reading_is_paused() -> None:
    taken: list[bytes] = []
    reads = SmallReads(Transport(), taken.append)
    reads.pause_reading()
    reads.received(b"abcdefgh")
    reads.finish()
    await turns()
    assert b"".join(taken) == b"abcdefgh"


async def test_nothing_is_taken_after_a_stop() -> None:
    taken: list[bytes] = []
    reads = SmallReads(Transport(), taken.append)
    reads.received(b"abcdefgh")
    reads.stop()
    await turns()
    assert taken == [b"abc"]


def test_all_else_is_the_transports() -> None:
    transport = Transport({"peername": ("192.0.2.1", 1)})
    reads = SmallReads(transport, lambda piece: None)
    assert (reads.get_extra_info("peername"), reads.get_write_buffer_size()) == (("192.0.2.1", 1), 7)


@given(st.lists(st.integers(0, 10) | st.sampled_from(["pause", "resume", "turn"])))
def test_every_byte_in_its_order(steps: list[int | str]) -> None:
    """Whatever comes and is paused, and when."""

    async def scenario() -> None:
        taken, given = bytearray(), bytearray()
        reads = SmallReads(Transport(), taken.extend)
        number = count()
        for step in steps:
            match step:
                case "pause":
                    reads.pause_reading()
                case "resume":
                    reads.resume_reading()
                case "turn":
                    await turns(1)
                case int():
                    data = bytes(next(number) % 256 for _ in range(step))
                    given.extend(data)
                    reads.received(data)
            assert given.startswith(taken)
        reads.resume_reading()
        await turns(len(given))
        assert taken == given

    asyncio.run(scenario())
