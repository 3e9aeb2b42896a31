"""/metrics: what it says is what the daemon's pages say, and documents, dashboard and alerts name what is there."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from ipc.messages import STAGES
from wernicke_daemon.observability.figures import BUCKET_LIMITS_MS, Samples
from wernicke_daemon.observability.pages import (
    AheadFigures,
    GpuFigures,
    Health,
    Percentiles,
    ReplicaFigures,
    SessionFigures,
    StageFigures,
    Stats,
)
from wernicke_daemon.web.tuning import metrics

DOCS = Path(__file__).parents[2] / "docs"
NONE = Percentiles(None, None, 0)
LIMITS_S = [limit / 1000 for limit in BUCKET_LIMITS_MS]
PROMTOOL = shutil.which("promtool")


def samples(*values: float) -> Samples:
    found = Samples()
    for value in values:
        found.add(value)
    return found


def replica(state: str) -> ReplicaFigures:
    return ReplicaFigures(
        state=state,
        device="cuda:0",
        pid=1,
        spare_pid=None,
        epoch=1,
        restarts=0,
        why_down=None,
        rss_mb=50.0,
        gpu_mib=500,
    )


def stage(number: int) -> StageFigures:
    return StageFigures(
        queue=number,
        epoch=1,
        restarts=number,
        why_down=None,
        state="ready" if number else "starting",
        pid=1,
        spare_pid=None,
        rss_mb=100.0,
        gpu_mib=1000,
        queued_ms=NONE,
        run_ms=NONE,
        queued_buckets=samples(5.0).buckets(),
        run_buckets=samples(5.0, 500.0, 500.1, 99_000.0).buckets(),
        replicas=[replica("ready" if number else "starting"), replica("backoff")],
    )


STATS = Stats(
    active_sessions=2,
    total_transcriptions=7,
    suppressed=1,
    undelivered=0,
    dropped_s=1.5,
    silence_s=60.0,
    lost_s=0.0,
    average_processing_time=1.0,
    latency_ms=NONE,
    errors={"SERVER_OVERLOADED": 3},
    warnings={"LLM_TIMEOUT": 2},
    late_answers=1,
    sessions=[
        SessionFigures(session="a", attached=True, received_s=1.0, results=1, under_way=2, paused=True),
        SessionFigures(session="b", attached=False, received_s=1.0, results=1, under_way=1, paused=False),
    ],
    stages={name: stage(number) for number, name in enumerate(STAGES)},
    gpu_stats=GpuFigures(
        name="card",
        driver="1",
        total_mib=24_000,
        free_mib=12_000,
        utilisation_percent=50,
        allocated_mib=1,
        reserved_mib=2,
        ollama_mib=9000,
    ),
    ahead={"early": AheadFigures(jobs=4, work_s=3.0, used_s=2.0)},
    bucket_limits_ms=list(BUCKET_LIMITS_MS),
    latency_buckets=samples(5.0, 700.0).buckets(),
    vad_lag_buckets=samples(30.0).buckets(),
    corrections_accepted=5,
    corrections_refused={"number": 1},
    left_out={"phantom": 1},
)
HEALTH = Health(
    status="degraded",
    stages={},
    active_connections=2,
    problems=["The disk is full."],
    overload=1,
    gpu_available=True,
    vram_free=12_000,
)


def all_metrics() -> list[Metric]:
    return list(metrics.families(STATS, HEALTH))


def series() -> set[str]:
    """Names that can be asked for."""
    return {sample.name for family in all_metrics() for sample in family.samples}


def named_in(expression: str) -> set[str]:
    return set(re.findall(r"\bwernicke_\w+", expression))


def value(name: str, **labels: str) -> float:
    samples = [each for family in all_metrics() for each in family.samples]
    [found] = [each.value for each in samples if each.name == name and each.labels == labels]
    return float(found)


def test_they_say_what_the_pages_say() -> None:
    """In base units, one number for each label."""
    assert value("wernicke_finals_total") == 7
    assert value("wernicke_sessions", client="gone") == 1
    assert value("wernicke_utterances_under_way") == 3
    assert value("wernicke_stage_up", stage="ingest") == 0
    assert value("wernicke_stage_up", stage="asr") == 1
    assert (value("wernicke_stage_replicas", stage="asr"), value("wernicke_stage_replicas_up", stage="asr")) == (2, 1)
    assert value("wernicke_stage_memory_bytes", stage="asr") == 100e6
    assert value("wernicke_gpu_memory_free_bytes") == 12_000 * 2**20
    assert value("wernicke_status", status="degraded") == 1
    assert value("wernicke_status", status="ok") == 0
    assert value("wernicke_corrections_refused_total", reason="number") == 1
    assert value("wernicke_corrections_refused_total", reason="sound") == 0  # for its first to be seen


def test_histograms_are_cumulative_and_whole() -> None:
    """A limit is within its bucket; sum and count are those of all values, in seconds."""
    name = "wernicke_stage_run_seconds"
    counts = [value(f"{name}_bucket", stage="asr", le=f"{limit:g}") for limit in LIMITS_S]
    assert counts == [1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3]
    assert value(f"{name}_bucket", stage="asr", le="+Inf") == value(f"{name}_count", stage="asr") == 4
    assert value(f"{name}_sum", stage="asr") == pytest.approx(100.0051)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_prometheus_reads_them(accept: str) -> None:
    """In both of its formats; and its own tool finds nothing to say about names and units."""
    text, content_type = metrics.exposed(STATS, HEALTH, accept)
    parse = open_metrics if "openmetrics" in content_type else plain_text
    assert {family.name for family in parse(text.decode())} == {family.name for family in all_metrics()}
    if PROMTOOL and not accept:
        checked = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, b"")


def test_a_daemon_that_does_not_answer() -> None:
    """The page is there and says so."""
    text, _ = metrics.exposed(None, None, "")
    assert "wernicke_up 0.0" in text.decode()


def test_a_page_of_an_older_daemon() -> None:
    """What it lacks is left out."""
    old = msgspec.structs.replace(STATS, bucket_limits_ms=[], latency_buckets=None, vad_lag_buckets=None, stages={})
    names = {family.name for family in metrics.families(old, None)}
    assert "wernicke_finals" in names and "wernicke_trigger_to_final_seconds" not in names


def test_labels_are_few_and_names_of_ours() -> None:
    """No session, client or text: a label's values do not grow with use."""
    labels = {name for family in all_metrics() for each in family.samples for name in each.labels}
    assert labels == {"client", "code", "kind", "le", "reason", "stage", "status"}


# --- documents, dashboard, alerts ------------------------------------------------------------------


def test_the_document_has_every_metric() -> None:
    """With type and labels."""
    text = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(wernicke_\w+)` \| (\w+ \|[^|]*)", text, re.MULTILINE))
    expected = {}
    for family in all_metrics():
        labels = sorted({name for each in family.samples for name in each.labels} - {"le"})
        name = f"{family.name}_total" if family.type == "counter" else family.name
        expected[name] = f"{family.type} | " + ", ".join(f"`{label}`" for label in labels)
    assert {name: row.strip() for name, row in rows.items()} == {name: row.strip() for name, row in expected.items()}


def panels() -> list[dict[str, Any]]:
    board = json.loads((DOCS / "grafana.json").read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_the_dashboard_asks_for_what_there_is() -> None:
    """Each panel has targets, and no metric is asked for that does not exist."""
    for panel in panels():
        assert panel["targets"]
        for target in panel["targets"]:
            assert named_in(target["expr"]) and named_in(target["expr"]) <= series(), panel["title"]


def test_panels_do_not_lie_on_each_other() -> None:
    """Nor beyond the grid's 24 columns; ids are unique."""
    taken = set[tuple[int, int]]()
    for place in (panel["gridPos"] for panel in panels()):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def expressions() -> Iterator[str]:
    yield from re.findall(r"^\s+expr: (.*)$", (DOCS / "alerts.yml").read_text(encoding="utf-8"), re.MULTILINE)


def test_alerts_ask_for_what_there_is() -> None:
    """And there are some."""
    found = list(expressions())
    assert len(found) >= 8
    assert set.union(*map(named_in, found)) <= series()


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool, of Debian's package prometheus")
def test_alerts_fire_when_they_should() -> None:
    """By Prometheus' own tool; so are the dashboard's questions, which have to be PromQL."""
    assert PROMTOOL
    tests = Path(__file__).parents[1] / "data" / "alerts_test.yml"
    done = subprocess.run([PROMTOOL, "test", "rules", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool, of Debian's package prometheus")
def test_the_dashboard_asks_in_promql(tmp_path: Path) -> None:
    """Its variables put in."""
    assert PROMTOOL
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    filled = [each.replace("$__rate_interval", "1m").replace("$job", ".*") for each in asked]
    rules = [{"record": f"panel_{number}", "expr": each} for number, each in enumerate(filled)]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
