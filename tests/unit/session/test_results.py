"""Results on their way out."""

import pytest

from tests.unit.session.house import House, Open, sequences
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Final, Partial


async def test_utterances_are_numbered_as_they_are_found(house: House) -> None:
    """With the audio, options and time of day that they were said at."""
    await house.speak(1.0)
    house.find(house.task(), (1600, 4800), (8000, 12_800))
    first, second = house.submitted.values()
    assert (first.sequence, second.sequence) == (1, 2)
    assert (second.audio.start, second.audio.end, second.language) == (8000, 12_800, "en")
    assert second.wall_start == pytest.approx(1e9 + house.now - 0.5)
    assert first.buffer_id != second.buffer_id


async def test_results_leave_in_the_order_of_speech(house: House) -> None:
    """A result that is ready too early waits; an utterance that failed has its turn like the others."""
    await house.say(4)
    house.settle(3)
    house.settle(2, text=None)
    assert (house.got, house.records.outcomes) == ([], [])
    house.settle(1)
    assert sequences(house.got) == [1, 2, 3]
    assert [type(message) for message in house.got] == [Final, protocol.Error, Final]
    assert house.of(protocol.Error)[0].code == "TRANSCRIPTION_FAILED"
    house.settle(4)
    assert sequences(house.got) == house.records.outcomes == [1, 2, 3, 4]


async def test_voices_are_named_in_the_order_of_speech(house: House) -> None:
    """Whose result is ready first has nothing to do with it."""
    await house.say(3)
    house.settle(3, embedding=(1.0, 0.0))
    house.settle(2, embedding=(0.0, 1.0))
    house.settle(1, embedding=(1.0, 0.0))
    speakers = [final.segments[0].speaker for final in house.of(Final)]
    assert speakers == ["Speaker_00", "Speaker_01", "Speaker_00"]


async def test_a_result_is_kept_before_it_is_sent(house: House) -> None:
    """And the session is not over before: its client would believe that it has everything."""
    house.records.on_disk = False
    await house.say(1)
    await house.session.end_utterance("stop")
    house.find(house.task())
    house.settle(1)
    assert (house.got, house.session.done.is_set()) == ([], False)
    house.records.keep()
    assert sequences(house.got) == [1]
    assert house.session.done.is_set()


async def test_silence_is_told_to_those_who_asked(open_house: Open) -> None:
    """An utterance in which nothing was recognised has no final."""
    for events, told in (((), []), (("suppressed",), [1])):
        house = open_house(*events)
        await house.say(1)
        house.keep_silent(1)
        assert sequences(house.got) == told
        assert house.records.outcomes == [1]


async def test_the_recognised_text_is_told_to_those_who_asked(open_house: Open) -> None:
    """Before anybody is named and anything is corrected."""
    for events, told in (((), []), (("partial",), ["hello"])):
        house = open_house(*events)
        await house.say(1)
        house.recognise(1, "hello")
        assert [partial.text for partial in house.of(Partial)] == told


async def test_context_is_what_was_said_just_before(house: House) -> None:
    """The last few texts, oldest first, never a later one."""
    await house.say(4)
    for sequence in (2, 1, 3):  # a retry may change the order in which texts are there
        house.recognise(sequence, f"{sequence}")
    assert house.submitted[4].texts_before == ("2", "3")
    assert house.submitted[3].texts_before == ("1", "2")


async def test_speech_too_short_is_counted(house: House) -> None:
    """It is no utterance, and not forgotten either."""
    await house.speak(0.5)
    house.find(house.task(), dropped_samples=800)
    assert house.records.dropped_s == pytest.approx(0.05)
