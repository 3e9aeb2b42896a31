"""What of a model's sentences stands in the lines that they name."""

import pytest

from ipc.summary import Kind, Line, Sentence
from stages.phonetics.readings import Reader
from stages.summary.check import part, standing
from stages.summary.request import MOST_LINES

READ = Reader()

MEETING = (
    Line("田中", "では、来週の火曜日までに回答をお願いします。"),
    Line("佐藤", "はい、分かりました。仕様書は12月10日までに作成します。"),
    Line("高橋", "見積もりでは、1台あたり480万円、合計で二千四百万円です。"),
    Line("鈴木", "移行の時期については、まだ伝えていません。鈴木から今週中に連絡します。"),
    Line("Speaker_05", "We ship the Kubernetes upgrade on Friday, and Ms. Kim sends 3 drafts to Oslo."),
    Line(None, "講師は、東京大学の山本先生です。"),
    Line("Lea", "来週、Kubernetesの更新の手順をTomがSlackで連絡します。"),
    Line("Lea", "Maybe the planning group meets in the large room."),
    Line("Lea", "3Dモデルの手順は連絡済みです。"),
)


def judged(text: str, *lines: int, kind: Kind = "decision", who: str = "", until: str = "") -> Sentence | None:
    return standing(Sentence(kind, text, lines, who, until), MEETING, range(1, len(MEETING) + 1), READ)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("仕様書を12月10日までに作成する。", (2,)),
        ("仕様書を十二月十日までに作成する。", (2,)),
        ("合計は2400万円、1台あたり480万円。", (3,)),
        ("合計は24,000,000円。", (3,)),
        ("来週の火曜日までに回答する。", (1, 2)),
        ("移行の時期はまだ伝えていない。", (4,)),
        ("移行の時期の連絡は今週中に決定した。", (4,)),
        ("田中は火曜日までの回答をお願いした。", (1,)),
        ("The Kubernetes upgrade ships on Friday.", (5,)),
        ("Kim sends 3 drafts to Oslo.", (5,)),
        ("Speaker_05 ships the upgrade on Friday.", (5,)),
        ("講師は東京大学の山本先生。", (6,)),
        ("Kubernetesの更新の手順を来週連絡する。", (7,)),
        ("手順の3Dモデルを連絡する。", (9,)),
        ("Kim's drafts go to Oslo.", (5,)),
    ],
)
def test_what_the_lines_say_stands(text: str, lines: tuple[int, ...]) -> None:
    """In other words, in digits for kanji, with the names of who spoke, and with words of other scripts within."""
    assert judged(text, *lines) == Sentence("decision", text, lines)


@pytest.mark.parametrize(
    ("text", "lines", "wrong"),
    [
        ("仕様書を12月10日までに作成する。", (), "no line"),
        ("仕様書を12月10日までに作成する。", (99, -1, 0), "no such line"),
        ("仕様書を12月11日までに作成する。", (2,), "another date"),
        ("仕様書を10月12日までに作成する。", (2,), "another date of the same figures"),
        ("仕様書を12月10日までに作成する。", (1,), "a line that says something else"),
        ("合計は2500万円。", (3,), "another sum"),
        ("合計は480円。", (3,), "another size"),
        ("来週の水曜日までに回答する。", (1,), "another day of the week"),
        ("来月の火曜日までに回答する。", (1,), "another month"),
        ("仕様書は山本が作成する。", (2,), "a name of another line"),
        ("移行の時期を渡辺が伝える。", (4,), "a name of nobody"),
        ("仕様書は佐藤が12月10日までに確認する。", (2,), "something else to be done with it"),
        ("移行の時期は鈴木が今週中に確定する。", (4,), "likewise"),
        ("The Docker upgrade ships on Friday.", (5,), "another product"),
        ("Ms. Kim sends 3 drafts to Bergen.", (5,), "another place"),
        ("The drafts go out on Monday.", (5,), "another day"),
        ("Docker の更新の手順を来週連絡する。", (7,), "another product, first in Japanese"),
        ("The planning group meets in the large room in May.", (8,), "a month that begins another word"),
        ("The planning group meets Ann in the large room.", (8,), "a name that is within another word"),
        ("新しい工場を建設することにした。", (2,), "other words"),
        ("They agreed to hire more engineers soon.", (5,), "other words"),
        ("", (2,), "nothing"),
        ("仕様書を\x1b[2J作成する。", (2,), "what controls a terminal"),
        ("仕様書を作成する。" * 40, (2,), "too long"),
    ],
)
def test_what_they_do_not_say_is_dropped(text: str, lines: tuple[int, ...], wrong: str) -> None:
    """A figure, a date, a name that is not in the lines named; words of which most are not."""
    assert judged(text, *lines) is None, wrong


def test_a_sentence_that_stands_on_everything_is_dropped() -> None:
    """Nearly any words are somewhere in a meeting."""
    many = MEETING * 2
    sentence = Sentence("decision", "仕様書を作成する。", tuple(range(1, MOST_LINES + 2)))
    assert standing(sentence, many, range(1, len(many) + 1), READ) is None


def test_lines_of_other_parts_do_not_count() -> None:
    """A number that the model was not shown is a guess, also where there is such a line."""
    sentence = Sentence("decision", "仕様書を作成する。", (2,))
    assert standing(sentence, MEETING, range(3, 7), READ) is None
    assert judged("仕様書を作成する。", 2, 99) == sentence


@pytest.mark.parametrize(
    ("lines", "who", "until", "left"),
    [
        ((2,), "佐藤", "12月10日", ("佐藤", "12月10日")),
        ((2,), "佐藤さん", "12月10日までに", ("佐藤さん", "12月10日までに")),
        ((2,), "山本", "12月11日", ("", "")),
        ((2,), "佐藤", "2月10日", ("佐藤", "")),
        ((1, 2), "田中", "来週の火曜日", ("田中", "来週の火曜日")),
        ((2,), "", "", ("", "")),
        ((2,), "佐藤\n", "仕様", ("佐藤", "仕様")),
    ],
)
def test_who_and_until_are_said_or_left_out(
    lines: tuple[int, ...], who: str, until: str, left: tuple[str, str]
) -> None:
    """A task without them is better than none, and than an invented one."""
    found = judged("仕様書を作成する。", *lines, kind="task", who=who, until=until)
    assert found is not None and (found.who, found.until) == left


def test_a_name_in_latin_letters_is_a_whole_word() -> None:
    """Al is not in Also."""
    assert (found := judged("Kim sends drafts to Oslo.", 5, kind="task", who="Kim")) and found.who == "Kim"
    assert (found := judged("Kim sends drafts to Oslo.", 5, kind="task", who="Os")) and found.who == ""
    assert (found := judged("The group meets.", 8, kind="task", until="May")) and found.until == ""


def test_a_name_in_latin_letters_may_stand_in_japanese() -> None:
    found = judged("更新の手順を連絡する。", 7, kind="task", who="Tom")
    assert found is not None and found.who == "Tom"


def test_only_tasks_have_somebody_who_does_them() -> None:
    found = judged("仕様書を作成する。", 2, kind="decision", who="佐藤", until="12月10日")
    assert found is not None and (found.who, found.until) == ("", "")


def test_what_is_dropped_is_counted_and_what_is_said_twice_is_said_once() -> None:
    answered = [
        Sentence("task", "仕様書を作成する。", (2,)),
        Sentence("task", "仕様書を作成する", (1, 2)),
        Sentence("open", "仕様書を作成する。", (2,)),
        Sentence("task", "予算を増額する。", (2,)),
    ]
    found = part(answered, MEETING, range(1, 7), READ)
    assert found.dropped == 1
    assert found.sentences == (Sentence("task", "仕様書を作成する。", (1, 2)), answered[2])
