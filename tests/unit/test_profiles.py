"""Which profile a machine gets, what a profile changes, and what it all needs on the card."""

from typing import Any, get_args

import pytest
from msgspec.structs import replace

from ipc import gpu, vram
from tests.ollama_server import OllamaServer
from wernicke_daemon.config.load import parse
from wernicke_daemon.config.schema import Config, Profile
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.hardware import budget, machine
from wernicke_daemon.hardware.profiles import OF_CARDS, PROFILES, applied, choose


def card(total_mib: int, free_mib: int | None = None) -> dict[str, Any]:
    free = total_mib - 800 if free_mib is None else free_mib
    return {"name": "a card", "total_mib": total_mib, "free_mib": free}


def with_profile(profile: Profile, text: str = "") -> Config:
    config = parse(text)
    return replace(config, runtime=replace(config.runtime, profile=profile))


RTX3090 = card(24_576)


def test_every_profile_that_may_be_named_says_what_it_sets() -> None:
    """`auto` is none of them: it chooses one."""
    assert {*PROFILES, "auto"} == set(get_args(Profile))
    assert set(PROFILES) > OF_CARDS


@pytest.mark.parametrize(
    ("found", "profile"),
    [
        (RTX3090, "rtx3090"),
        (card(16_376), "small-gpu"),
        (card(8_188), "small-gpu"),
        (card(4_096), "cpu"),
        (card(24_576, free_mib=9_000), "small-gpu"),
        (card(24_576, free_mib=1_000), "cpu"),
        (None, "cpu"),
    ],
)
def test_auto_takes_the_best_that_fits(found: dict[str, Any] | None, profile: Profile) -> None:
    """By the card and by what is free of it, and it says so with the numbers."""
    choice = choose(Config(), [] if found is None else [found])
    assert choice.profile == profile
    assert "no NVIDIA card" in choice.why if found is None else str(found["free_mib"]) in choice.why


def test_a_step_down_is_explained() -> None:
    """With what the better profile needs."""
    needed = budget.least(applied(Config(), "rtx3090"))
    assert f"rtx3090 needs {needed} MiB and 9000 MiB are free" in choose(Config(), [card(24_576, free_mib=9_000)]).why


def test_what_our_own_model_holds_counts_as_free() -> None:
    """Ollama keeps the model loaded from one run of the daemon to the next."""
    full = card(24_576, free_mib=24_576 - 800 - 10_000)
    assert choose(Config(), [full]).profile == "small-gpu"
    assert choose(Config(), [full], {"qwen2.5:14b-instruct-q4_0": 10_000}).profile == "rtx3090"
    assert choose(Config(), [full], {"qwen2.5:3b-instruct-q4_0": 10_000}).profile == "small-gpu"


@pytest.mark.parametrize("profile", ["auto", "small-gpu"])
def test_each_profile_has_its_own_model(profile: Profile) -> None:
    """The second start on a small card, when the small model is in its memory already."""
    full = card(8_188, free_mib=8_188 - 800 - 2_400)
    assert choose(with_profile(profile), [full], {"qwen2.5:3b-instruct-q4_0": 2_400}).profile == "small-gpu"


def test_what_another_machine_holds_is_not_held_here() -> None:
    """Its Ollama may have the same model loaded; nothing of this card comes free for that."""
    remote = parse('[llm]\nhost = "http://192.168.1.5:11434"\n')
    full = card(24_576, free_mib=budget.least(applied(remote, "rtx3090")) - 1)
    assert choose(remote, [full], {"qwen2.5:14b-instruct-q4_0": 10_000}).profile == "small-gpu"


def test_a_name_without_its_tag_is_the_latest() -> None:
    """As Ollama has it."""
    config = applied(parse('[llm]\nmodel = "mine"\n'), "rtx3090")
    assert budget.held(config, {"mine:latest": 7, "other:latest": 5}) == 7


def test_models_are_fetched_for_the_whole_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in use of it now, by the running daemon itself perhaps; without a card, for none."""
    monkeypatch.setattr(gpu, "cards", lambda: [card(24_576, free_mib=1_000)])
    assert machine.planned(Config()).runtime.profile == "rtx3090"
    assert machine.planned(with_profile("small-gpu")).llm.model == "qwen2.5:3b-instruct-q4_0"
    monkeypatch.setattr(gpu, "cards", list)
    assert machine.planned(Config()).runtime.profile == "cpu"


def test_the_machine_asks_ollama_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that is full of the very models that are to run has room for them."""
    monkeypatch.setattr(gpu, "cards", lambda: [card(8_188, free_mib=5_000)])
    with OllamaServer() as server:
        config = parse(f'[llm]\nhost = "{server.url}"\n')
        assert machine.resolved(config)[1].profile == "cpu"
        server.loaded["qwen2.5:3b-instruct-q4_0"] = 4096
        assert machine.resolved(config)[1].profile == "small-gpu"


@pytest.mark.parametrize("profile", ["rtx3090", "small-gpu"])
def test_a_named_profile_that_does_not_fit_is_refused(profile: Profile) -> None:
    """With the numbers and the ways out; without a card as well."""
    with pytest.raises(ConfigError, match=r"needs \d+ MiB and 2000 MiB are free on the a card: .*\"auto\""):
        choose(with_profile(profile), [card(24_576, free_mib=2_000)])
    with pytest.raises(ConfigError, match="no NVIDIA card was found"):
        choose(with_profile(profile), [])


@pytest.mark.parametrize("profile", ["cpu", "embedded"])
def test_a_profile_that_needs_no_card_needs_none(profile: Profile) -> None:
    """Whatever card there is, and without one."""
    assert choose(with_profile(profile), []).profile == profile
    assert choose(with_profile(profile), [card(1_000)]).profile == profile
    assert budget.needs(applied(Config(), profile)) == [] or profile == "cpu"
    assert budget.total(applied(parse('[correction]\nengine = "none"'), profile)) == 0


def test_full_quality_is_the_original_design() -> None:
    """On the card it was designed for, with engines that may not be replaced by lesser ones in silence."""
    config = applied(Config(), "rtx3090")
    assert (config.asr.model, config.asr.compute_type, config.llm.model) == (
        "large-v3",
        "float16",
        "qwen2.5:14b-instruct-q4_0",
    )
    engines = (config.asr.engine, config.alignment.engine, config.diarization.engine, config.correction.engine)
    assert engines == ("faster_whisper", "whisperx", "pyannote", "ollama")
    assert {config.asr.device, config.alignment.device, config.diarization.device} == {"cuda"}


def test_what_the_user_has_set_stands() -> None:
    """A profile fills in what was left at its default."""
    config = applied(parse('[asr]\nmodel = "medium"\n[correction]\nengine = "none"\n'), "small-gpu")
    assert (config.asr.model, config.asr.compute_type) == ("medium", "int8_float16")
    assert config.correction.engine == "none" and config.runtime.profile == "small-gpu"


def test_embedded_forces() -> None:
    """It runs anything anywhere: what is set otherwise gives way, what it says nothing of stays."""
    config = applied(
        parse('[asr]\nengine = "faster_whisper"\nlanguage = "ja"\n[diarization]\nmax_speakers = 3\n'), "embedded"
    )
    assert (config.asr.engine, config.asr.language, config.correction.engine) == ("pocketsphinx", "en", "none")
    assert (config.diarization.engine, config.diarization.max_speakers) == ("onnx", 3)


def test_profiles_name_settings_that_exist() -> None:
    """Applied to anything, whatever they say is taken."""
    for profile, sections in PROFILES.items():
        config = applied(Config(), profile)
        for section, settings in sections.items():
            assert {name: getattr(getattr(config, section), name) for name in settings} == settings


def test_the_budget_counts_each_model_where_it_runs() -> None:
    """The largest first; a process that uses the card has its context, a spare is a second one."""
    config = applied(Config(), "rtx3090")
    whisper = vram.whisper("large-v3", "float16")
    assert whisper is not None
    found = {need.what: (need.stage, need.mib) for need in budget.needs(config)}
    assert found == {
        "qwen2.5:14b-instruct-q4_0": ("correction", vram.llm("qwen2.5:14b-instruct-q4_0")),
        "Whisper large-v3 in float16": ("asr", whisper + vram.CUDA_CONTEXT),
        "alignment": ("asr", vram.ALIGNMENT),
        "pyannote": ("diarization", vram.PYANNOTE + vram.CUDA_CONTEXT),
    }
    assert [need.mib for need in budget.needs(config)] == sorted((mib for _, mib in found.values()), reverse=True)
    spare = replace(config, runtime=replace(config.runtime, standby=("diarization",)))
    assert budget.total(spare) - budget.total(config) == vram.PYANNOTE + vram.CUDA_CONTEXT


def test_what_is_elsewhere_needs_nothing_here() -> None:
    """On the CPU, or on another machine's card."""
    text = """
        [asr]
        device = "cpu"
        [alignment]
        device = "cpu"
        [diarization]
        device = "cpu"
        [llm]
        host = "http://192.168.1.5:11434"
    """
    assert budget.needs(applied(parse(text), "rtx3090")) == []


def test_an_unknown_model_is_said_to_be_unknown() -> None:
    """It counts nothing, rather than something made up."""
    config = applied(parse('[llm]\nmodel = "mine"\n'), "rtx3090")
    assert [need.mib for need in budget.needs(config) if need.what == "mine"] == [None]
    assert budget.total(config) == budget.total(applied(parse('[correction]\nengine = "none"\n'), "rtx3090"))


def test_whisper_is_budgeted_in_the_smallest_type_it_may_be_stepped_down_to() -> None:
    """int8 has half of float16's weights."""
    config = applied(Config(), "rtx3090")
    full, small = vram.whisper("large-v3", "float16"), vram.whisper("large-v3", "int8")
    assert full is not None and small is not None
    assert budget.total(config) - budget.least(config) == full - small == round(1550e6 / 2**20)


@pytest.mark.parametrize(("compute_type", "low", "high"), [("float16", 4_200, 4_700), ("int8", 2_700, 3_100)])
def test_the_figures_are_those_that_were_published(compute_type: str, low: int, high: int) -> None:
    """large-v3: about 4.5 GB and about 3 GB."""
    assert low < (vram.whisper("large-v3", compute_type) or 0) < high
    assert vram.whisper("mine", compute_type) is None


def test_each_replica_counts_on_its_card() -> None:
    """A number of them on the stage's own; the language model on the first."""
    text = '[replicas]\nasr = ["cuda:0", "cuda:1", "cpu"]\ndiarization = 2\n[diarization]\ndevice = "cuda:1"\n'
    config = applied(parse(text), "rtx3090")
    on = {
        number: [need.stage for need in budget.needs(config) if need.card == number] for number in budget.cards(config)
    }
    assert on == {0: ["correction", "asr", "asr"], 1: ["asr", "diarization", "diarization", "asr"]}
    whisper, llm = vram.whisper("large-v3", "float16"), vram.llm("qwen2.5:14b-instruct-q4_0")
    assert whisper is not None and llm is not None
    assert budget.total(config) == llm + whisper + vram.CUDA_CONTEXT + vram.ALIGNMENT
    full, small = whisper, vram.whisper("large-v3", "int8") or 0
    assert budget.total(config, 1) - budget.least(config, 1) == full - small


def test_every_card_that_is_used_has_to_have_room() -> None:
    """It says which has not. One that is not there is left out at the start, and one that nothing is put on may be
    full."""
    config = parse('[replicas]\nasr = ["cuda:0", "cuda:1"]\n')
    assert choose(config, [RTX3090, RTX3090]).profile == "rtx3090"
    assert choose(config, [RTX3090]).profile == "rtx3090"
    tight = choose(config, [RTX3090, card(24_576, free_mib=3_000)])
    assert tight.profile != "rtx3090" and "3000 MiB are free on the a card (cuda:1)" in tight.why
    assert choose(Config(), [RTX3090, card(24_576, free_mib=0)]).profile == "rtx3090"
