"""Which samples of a session are still needed: by ingest, by stages, by the journal."""

from wernicke_daemon.sessions.leases import Leases


def test_ingest_alone_needs_what_an_utterance_may_begin_with() -> None:
    leases = Leases(100)
    assert (leases.ring_floor(), leases.final_before(), leases.first_not_final(7)) == (100, 100, 7)
    leases.retain_from = 500
    assert (leases.ring_floor(), leases.final_before()) == (500, 500)


def test_audio_that_was_read_leaves_the_ring_before_the_journal() -> None:
    """The journal's can be had only once; it waits for the result."""
    leases = Leases(0)
    leases.begin(1, 200)
    leases.begin(2, 300)
    leases.retain_from = 900
    leases.release_audio(1)
    assert (leases.ring_floor(), leases.final_before(), leases.first_not_final(3)) == (300, 200, 1)
    leases.release_audio(2)
    assert (leases.ring_floor(), leases.final_before(), len(leases)) == (900, 200, 2)
    leases.release_result(1)
    assert (leases.final_before(), leases.first_not_final(3)) == (300, 2)
    leases.release_result(2)
    assert (leases.final_before(), leases.first_not_final(3), len(leases)) == (900, 3, 0)


def test_ingest_may_need_more_than_any_utterance() -> None:
    """An open utterance may have begun before the one that is read: where one was cut for its length."""
    leases = Leases(0)
    leases.begin(1, 200)
    leases.retain_from = 150
    assert (leases.ring_floor(), leases.final_before()) == (150, 150)
