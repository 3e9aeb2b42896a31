"""What a killed daemon left is finished; what is late goes out as it is."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from tests import wire
from tests.ollama_server import OllamaServer
from tests.process.conftest import embedded, recovered, serving, started
from tests.process.faults.disturbed import speakers
from tests.waiting import eventually
from wernicke_daemon.records import transcript_file

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_audio_that_a_killed_daemon_had_received_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """kill -9 of the front in mid-utterance: the next start finds the audio in the journal, the result in the store.
    The second speaker stays the second, and the session ended when its last audio came, a day ago."""
    audio = np.concatenate([wire.turn(5, after_s=2.3), wire.turn(3)]).astype("<f4").tobytes()
    with serving(tmp_path) as (process, port):
        whole = wire.finals(await wire.transcribe(port, audio))
        async with wire.open_socket(port, f"{wire.MONO}&events=session") as socket:
            hello = await wire.receive(socket)
            await socket.send(audio)
            await wire.until(socket, "final")
            state = tmp_path / "data" / "journal" / hello["session_id"] / "state.json"
            await eventually(lambda: '"next_sequence":2' in state.read_text())  # else the first may be done again, too
            process.kill()
            process.wait()
    yesterday = time.time() - 86_400
    for segment in state.parent.glob("*.f32"):
        os.utime(segment, (yesterday, yesterday))
    results = await recovered(tmp_path / "data", hello["session_id"])
    with transcript_file.reading(tmp_path / "data" / transcript_file.FILE_NAME) as database:
        ((ended,),) = database.execute("SELECT ended FROM session WHERE id = ?", (hello["session_id"],)).fetchall()
    assert ended == pytest.approx(yesterday, abs=60)
    assert [result["text"] for result in results] == [final["text"] for final in whole]
    assert [result["sequence"] for result in results] == [1, 2]
    assert [speakers(result) for result in results] == [speakers(final) for final in whole]


async def test_an_utterance_too_late_for_correction_goes_out_as_recognised(tmp_path: Path) -> None:
    """The LLM hangs: the recognised text is there at the deadline, with a warning."""
    config = embedded(tmp_path)
    with OllamaServer() as server:
        config = replace(
            config,
            correction=replace(config.correction, engine="ollama", deadline_s=1.0),
            llm=replace(config.llm, host=server.url),
        )
        async with started(config) as daemon:
            server.mode = "hang"
            final = wire.finals(await wire.transcribe(daemon.port, wire.turn(2).astype("<f4").tobytes()))[0]
    assert final["text"] and final["warnings"] == ["LLM_TIMEOUT"]
    assert not any(segment["corrected"] for segment in final["segments"])
