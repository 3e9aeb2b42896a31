"""What a client keeps to go on with over another connection, or in another session."""

from wernicke_daemon.client.resuming import MOST_UNACKNOWLEDGED, LostLine, Numbering, Outgoing

STOP = '{"type":"stop"}'


def sent(outgoing: Outgoing) -> list[bytes | str]:
    items = list[bytes | str]()
    while (item := outgoing.next()) is not None:
        items.append(item)
    return items


def outgoing_of(*items: bytes | str) -> Outgoing:
    """All of it was sent. A frame has four bytes."""
    outgoing = Outgoing(4)
    for item in items:
        outgoing.add(item)
    assert sent(outgoing) == list(items)
    return outgoing


def test_what_is_acknowledged_is_sent_no_more() -> None:
    """The rest is, with a frame that had arrived in part, and with messages that may not have arrived."""
    outgoing = outgoing_of(b"aaaa", b"bbbbcccc", "flush", b"dddd", STOP)
    outgoing.acknowledge(4)
    assert outgoing.unacknowledged == 12
    outgoing.go_on(8)
    assert sent(outgoing) == [b"cccc", "flush", b"dddd", STOP]
    outgoing.go_on(12)
    assert sent(outgoing) == ["flush", b"dddd", STOP]
    outgoing.go_on(16)
    assert sent(outgoing) == [STOP]


def test_half_a_sample_that_was_acknowledged_is_kept_whole() -> None:
    """The server forgets it when the line breaks."""
    outgoing = outgoing_of(b"aaaab", b"bbb")
    outgoing.acknowledge(5)
    outgoing.go_on(4)
    assert b"".join(item for item in sent(outgoing) if isinstance(item, bytes)) == b"bbbb"


def test_another_session_gets_what_none_has() -> None:
    """And counts from there."""
    outgoing = outgoing_of(b"aaaa", b"bbbb", b"cccc")
    outgoing.acknowledge(4)
    assert outgoing.begin_anew() == 4
    assert sent(outgoing) == [b"bbbb", b"cccc"]
    outgoing.acknowledge(4)
    assert outgoing.unacknowledged == 4
    outgoing.acknowledge(8)
    assert (outgoing.begin_anew(), sent(outgoing)) == (12, [])


def test_no_more_is_taken_than_can_be_kept() -> None:
    """Until the server has some of it."""
    outgoing = Outgoing(4)
    outgoing.add(bytes(MOST_UNACKNOWLEDGED))
    assert outgoing.must_wait
    sent(outgoing)
    assert outgoing.must_wait
    outgoing.acknowledge(MOST_UNACKNOWLEDGED)
    assert not outgoing.must_wait


def test_results_of_several_sessions_are_numbered_as_of_one() -> None:
    """Sequences and times go on. What a partial was shown of counts, too."""
    numbering = Numbering()
    numbering.take({"type": "final", "sequence": 1, "timestamp_range": {"start": 0.0, "end": 2.0}})
    numbering.take({"type": "partial", "sequence": 2, "timestamp_range": {"start": 3.0, "end": 4.0}})
    assert numbering.last_sequence == 1
    numbering.begin_anew(10.0)
    assert numbering.last_sequence == 0
    final = numbering.take({"type": "final", "sequence": 1, "timestamp_range": {"start": 1.0, "end": 2.0}})
    assert final == {"type": "final", "sequence": 3, "timestamp_range": {"start": 11.0, "end": 12.0}}
    assert numbering.take({"type": "gap", "from": 2.0, "to": 3.0}) == {"type": "gap", "from": 12.0, "to": 13.0}
    assert numbering.last_sequence == 1


def test_a_lost_line_is_tried_soon_then_less_often_and_not_for_ever() -> None:
    """Once it was back, it begins anew."""
    line = LostLine()
    line.breaks(100.0)
    line.breaks(130.0)  # a second connection that broke before it was of use
    delays = [line.delay(130.0, 60.0) for _ in range(8)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert line.delay(161.0, 60.0) is None
    line.is_back()
    assert not line.lost
    line.breaks(200.0)
    assert line.delay(200.0, 60.0) == 0.2
