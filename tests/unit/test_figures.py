"""The figures behind /stats."""

from ipc.audio_handle import AudioHandle
from ipc.messages import AsrResult, Boundary, CorrectionResult, StageName
from wernicke_daemon.observability.figures import BUCKET_LIMITS_MS, WINDOW, Figures, Samples
from wernicke_daemon.observability.pages import Buckets, Percentiles
from wernicke_daemon.utterances.pieces import StageTiming
from wernicke_daemon.utterances.utterance import Utterance

WORKING: tuple[StageName, ...] = ("asr", "diarization")


def utterance(*run_ms: float, warnings: tuple[str, ...] = ()) -> Utterance:
    """One on which asr, then diarization worked for so long."""
    done = Utterance(
        session="s",
        sequence=1,
        buffer_id="b",
        audio=AudioHandle("arena", 0, 1, 0, 16_000),
        boundary=Boundary(0, 16_000, "silence", 16_000, 16_000),
        language="en",
        glossary=(),
        triggered=0.0,
        wall_start=0.0,
    )
    for stage, milliseconds in zip(WORKING, run_ms, strict=False):
        done.timings[stage] = StageTiming(1.0, milliseconds, 1)
    done.warnings.extend(warnings)
    return done


def test_no_values_no_percentiles() -> None:
    """Nothing is invented before the first value."""
    assert Samples().percentiles() == Percentiles(None, None, 0)


def test_percentiles() -> None:
    """p50 and p95 are those of the values."""
    samples = Samples()
    for value in range(101):
        samples.add(float(value))
    assert samples.percentiles() == Percentiles(50.0, 95.0, 101, 99.0)


def test_only_the_latest_count() -> None:
    """Old values leave the window."""
    samples = Samples()
    for value in [1e6] * WINDOW + [1.0] * WINDOW:
        samples.add(value)
    assert samples.percentiles() == Percentiles(1.0, 1.0, WINDOW, 1.0)


def test_all_of_them_by_bucket() -> None:
    """A limit is within its bucket, what is above all of them in the last; none is forgotten."""
    samples = Samples()
    for value in [BUCKET_LIMITS_MS[0], BUCKET_LIMITS_MS[0] + 0.1, BUCKET_LIMITS_MS[-1] + 1] * WINDOW:
        samples.add(value)
    between = [0] * (len(BUCKET_LIMITS_MS) - 2)
    assert samples.buckets() == Buckets([WINDOW, WINDOW, *between, WINDOW], WINDOW * (10.0 + 10.1 + 60_001.0))


def test_corrections_and_what_nobody_said() -> None:
    """Counted by reason."""
    figures = Figures()
    done = utterance(1.0)
    done.asr = AsrResult("en", 1.0, (), "whisper", left_out=("repetition", "phantom", "phantom"))
    done.correction = CorrectionResult(("One.", None, None), ("number", "sound"))
    figures.utterance(done, latency_ms=1.0)
    assert figures.corrections_accepted == 1
    assert figures.corrections_refused == {"number": 1, "sound": 1}
    assert figures.left_out == {"repetition": 1, "phantom": 2}


def test_a_fresh_run() -> None:
    """Before the first utterance everything is zero."""
    figures = Figures()
    assert figures.transcriptions == 0
    assert figures.average_processing_s == 0.0
    assert figures.errors == {}


def test_average_processing_time_is_per_settled_utterance() -> None:
    """Work of all stages, in seconds, over every settled utterance, failed ones included."""
    figures = Figures()
    figures.transcriptions += 1
    figures.utterance(utterance(1000.0, 500.0), latency_ms=40.0)
    figures.errors["TRANSCRIPTION_FAILED"] += 1
    failed = utterance(500.0)
    failed.failure = "The model can't read it."
    figures.utterance(failed, latency_ms=60.0)
    assert figures.average_processing_s == 1.0
    assert figures.latency_ms.percentiles() == Percentiles(50.0, 59.0, 2, 59.8)


def test_warnings_are_counted_by_code() -> None:
    """Each warning of a settled utterance counts."""
    figures = Figures()
    figures.utterance(utterance(1.0, warnings=("LLM_TIMEOUT",)), 1.0)
    figures.utterance(utterance(1.0, warnings=("LLM_TIMEOUT", "DIARIZATION_UNAVAILABLE")), 1.0)
    assert figures.warnings == {"LLM_TIMEOUT": 2, "DIARIZATION_UNAVAILABLE": 1}


def test_stages_are_kept_apart() -> None:
    """A job counts for its own stage, waiting and work apart."""
    figures = Figures()
    figures.job("asr", "firm", StageTiming(queued_ms=10.0, run_ms=300.0, attempts=1))
    assert figures.queued_ms["asr"].percentiles().p50 == 10.0
    assert figures.run_ms["asr"].percentiles().p50 == 300.0
    assert figures.run_ms["correction"].percentiles().count == 0
