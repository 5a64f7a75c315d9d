"""README.md and docs/findings.md say what the claims of docs/results say, in number and in word."""

from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path
from types import ModuleType

import pytest

from studies.engine.glossary import GLOSSARY

HOUSE = Path(__file__).resolve().parent.parent
SOURCES = ("README.md", "studies.md", "findings.md", "cost.md", "answers.md", "fidelity.md")
SUITES = (
    "noise-digits",
    "noise-digits-bases",
    "noise-fashion",
    "noise-cifar10n",
    "imbalance-digits",
    "imbalance-digits-bases",
    "imbalance-fashion",
)

# An interval, an accuracy, a difference, a p-value.
MEASURED = (
    r"\[ *[-+]?\d[\d.]* *, *[-+]?\d[\d.]* *\]",
    r"\d\.\d+ ?%",
    r"\d\.\d+ points",
    r"[-+]\d+\.\d",
    r"\bp [<=] ?\d",
)


@pytest.fixture(scope="module")
def fill() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fill", HOUSE / "docs" / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_hand(source: str) -> str:
    """What a source says outside of {{ }}, {% %} and code."""
    text = (HOUSE / "docs" / "source" / source).read_text("utf-8")
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}|^```.*?^```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def test_documents_are_what_their_sources_give(fill: ModuleType) -> None:
    assert fill.main(["--check"]) == 0
    assert {source.name for source in fill.DOCUMENTS} == {*SOURCES, "glossary.md"}


def test_the_glossary_is_that_of_the_reports(fill: ModuleType) -> None:
    text = " ".join((HOUSE / "docs" / "glossary.md").read_text("utf-8").split())
    assert len(GLOSSARY) == 10
    for term, meaning in GLOSSARY:
        assert f"- **{term}**: {meaning}" in text


def test_check_sees_an_edited_number(fill: ModuleType, tmp_path, monkeypatch, capsys) -> None:
    copies = {}
    for source, path in fill.DOCUMENTS.items():
        copies[source] = tmp_path / path.name
        text = path.read_text("utf-8")
        edited = re.sub(r"\[([-+]?\d+\.\d+), \S+\]", r"[\1, 9.99]", text, count=1)
        assert (edited != text) == (path.name in SOURCES)
        copies[source].write_text(edited, "utf-8")
    monkeypatch.setattr(fill, "DOCUMENTS", copies)
    assert fill.main(["--check"]) == 1
    stale = capsys.readouterr().out.splitlines()
    assert stale == [f"{document} is not what its source gives: run make docs" for document in SOURCES]
    assert fill.main([]) == 0
    assert fill.main(["--check"]) == 0


@pytest.mark.parametrize("source", SOURCES)
def test_no_measured_number_is_written_by_hand(source: str) -> None:
    text = by_hand(source)
    assert [held[0] for pattern in MEASURED for held in re.finditer(pattern, text)] == []


@pytest.mark.parametrize("source", SOURCES)
def test_words_of_decisions_by_hand(source: str) -> None:
    """The old words of a decision come from no claim."""
    words = r"\b(significan\w*|not shown|is shown|shown to|(gain|accuracy) is (gone|lost)|no gain|does nothing[.,])"
    assert [held[0] for held in re.finditer(words, by_hand(source))] == []


def test_a_claim_that_there_is_not_is_an_error(fill: ModuleType) -> None:
    with pytest.raises(KeyError, match="near it: gain/mim:base=dm"):
        fill.claim("noise-digits", "gain/mim:base=dm/cleam")
    with pytest.raises(KeyError):
        fill.every("noise-digits", "gained/*", "undecided")


@pytest.mark.parametrize(
    ("decision", "size", "text"),
    [
        ("gain", "beyond", "a gain of more than half a point"),
        ("gain", "below", "a gain below half a point"),
        ("gain", "", "the term gains"),
        ("loss", "", "falls"),
        ("negligible", "", "no difference beyond half a point"),
        ("undecided", "", "undecided, for 3 pairs decide nothing"),
    ],
)
def test_a_word_is_its_decision(fill: ModuleType, decision: str, size: str, text: str) -> None:
    one = {"id": "x", "decision": decision, "size": size, "unit": "points", "margin": 0.005}
    assert fill.says(one, text) == text
    for other in {"gain", "loss", "negligible", "undecided"} - {decision}:
        with pytest.raises(ValueError, match="the text says"):
            fill.says({**one, "decision": other}, text)
    if size:
        with pytest.raises(ValueError, match="the text says"):
            fill.says({**one, "size": ""}, text)
    for wrong in ("nothing of the kind", f"not {text}", f"neither {text} nor more"):
        with pytest.raises(ValueError, match="the text says"):
            fill.says(one, wrong)


def test_shares_of_entropy_print_in_their_unit(fill: ModuleType) -> None:
    record = {"id": "x", "estimate": 0.011, "low": 0.007, "high": 0.015, "unit": "points of H(Y)"}
    assert fill.printed(record, unit=True) == "+1.1 points of H(Y) [+0.7, +1.5]"
    assert fill.printed({**record, "unit": "percent of H(Y)"}, unit=True) == "1.1% of H(Y) [0.7, 1.5]"
    decided = {**record, "decision": "gain", "size": "beyond", "margin": 0.005}
    assert fill.word(decided) == "a gain of more than half a point of H(Y)"
    assert fill.says(decided, fill.word(decided)) == fill.word(decided)


RATIO = {"id": "x", "estimate": math.log(1.13), "low": math.log(1.08), "high": math.log(1.18), "unit": "times"}
MARGIN = {"margin": math.log(1.05)}


def test_costs_print_as_in_reports_and_not_as_logarithms(fill: ModuleType) -> None:
    assert str(fill.Number(RATIO)) == "1.13 times [1.08, 1.18]"
    assert fill.FILTERS["bare"](RATIO) == "1.13 [1.08, 1.18]"
    assert (fill.end(RATIO, "low"), fill.FILTERS["only"](RATIO)) == ("1.08 times", "1.13 times")
    seconds = {**RATIO, "unit": "log seconds", "estimate": math.log(0.0123), "low": None}
    assert fill.printed(seconds) == fill.fine(seconds) == "12.3 ms"
    assert fill.printed({**seconds, "unit": "flops", "estimate": 1.28e12}, unit=True) == "1.28 TFLOP"
    with pytest.raises(ValueError, match="x is in times, which has no losses; leave out `cost`"):
        fill.FILTERS["cost"](RATIO)


@pytest.mark.parametrize(
    ("decision", "size", "text"),
    [
        ("gain", "beyond", "larger by more than 5%"),
        ("gain", "below", "slower by less than 5%"),
        ("gain", "", "takes longer"),
        ("loss", "beyond", "smaller by more than 5%"),
        ("loss", "below", "faster by less than 5%"),
        ("loss", "", "takes less memory"),
        ("negligible", "", "no difference beyond 5%"),
        ("undecided", "", "undecided"),
    ],
)
def test_a_word_about_a_cost_is_its_decision(fill: ModuleType, decision: str, size: str, text: str) -> None:
    one = {**RATIO, **MARGIN, "decision": decision, "size": size}
    assert fill.says(one, text) == text
    assert fill.says(one, fill.word(one)) == fill.word(one)
    for other in {"gain", "loss", "negligible", "undecided"} - {decision}:
        with pytest.raises(ValueError, match="the text says"):
            fill.says({**one, "decision": other}, text)
    if size:
        with pytest.raises(ValueError, match="the text says"):
            fill.says({**one, "size": ""}, text)
    for wrong in (text.replace("5%", "10%"), "a gain", "a loss"):
        if wrong != text:
            with pytest.raises(ValueError, match="the text says"):
                fill.says(one, wrong)


def test_wrapping_changes_no_code_table_or_interval(fill: ModuleType) -> None:
    words = "word " * 24
    text = f"# H\n\n{words}[+0.8, +1.5]\nend\n\n| a | {words}{words}|\n\n```\na\n  b\n```\n\n- {words}{words}\n- b\n"
    made = fill.wrapped(text)
    assert all(len(line) <= fill.WIDTH for line in made.splitlines() if not line.startswith("|"))
    assert "[+0.8, +1.5]" in made
    assert f"| a | {words}{words}|\n\n```\na\n  b\n```\n\n- word" in made
    assert made.split() == text.split()
    with pytest.raises(ValueError, match="means something else"):
        fill.wrapped(f"{'x' * (fill.WIDTH - 1)} - word")


def test_wrapping_keeps_the_items_of_numbered_and_nested_lists(fill: ModuleType) -> None:
    words = " ".join(["word"] * 30)
    text = f"1. {words}\n2. b\n   - {words}\n     and\n   - c\n10. {words}\n\nA run of\n3 words.\n"
    lines = fill.wrapped(text).splitlines()
    starts = [re.match(r" *\S+", line)[0] for line in lines if line]  # type: ignore[index]
    assert starts == ["1.", "   word", "2.", "   -", "     word", "   -", "10.", "    word", "A"]
    assert all(len(line) <= fill.WIDTH for line in lines)
    assert " ".join(lines).split() == text.split()


def test_what_findings_says_of_all_suites(fill: ModuleType) -> None:
    default = {(folder, one["id"]): one for folder in SUITES for one in fill.matching(folder, "gain/mim:base=dm/*")}
    decided = {where: one["decision"] for where, one in default.items() if one["decision"] != "undecided"}
    assert decided == {("noise-cifar10n", "gain/mim:base=dm/clean"): "negligible"}
    gains = [one for one in fill.claims("noise-digits").values() if one["id"].startswith("gain/") and fill.decided(one)]
    strong = "gain/mim:base=dm,balance=gradnorm,weight=1"
    assert {one["id"]: one["decision"] for one in gains} == dict.fromkeys(
        (f"{strong}/clean", f"{strong}/asymmetric-0.2"), "gain"
    )
    gains = [
        one for one in fill.claims("lambda-digits").values() if one["id"].startswith("gain/") and fill.decided(one)
    ]
    assert {one["id"]: one["decision"] for one in gains} == {
        f"gain/mim:base={base},weight=80": "gain" for base in ("dm", "dsa")
    }
    for folder in ("noise-fashion", "noise-cifar10n"):
        assert not any(id.startswith("selection/") for id in fill.claims(folder)), "noisy labels chose another method"


def test_rows_with_few_pairs_decide_nothing(fill: ModuleType) -> None:
    for path in sorted(fill.RESULTS.glob("*/claims.jsonl*")):
        few = [one for one in fill.claims(path.parent.name).values() if one["kind"] == "contrast" and one["n"] < 5]
        assert {one["decision"] for one in few} <= {"undecided"}, path


def test_every_fidelity_folder_has_its_rows(fill: ModuleType) -> None:
    rows = fill.cells().splitlines()
    for path in fill.RESULTS.glob("fidelity-*"):
        means = [one for id, one in fill.claims(path.name).items() if id.startswith("mean/test/")]
        told = [row for row in rows if row.endswith(f"]({path.name}/answer.md) |")]
        assert sorted(row.split(" | ")[4] + "%" for row in told) == sorted(
            fill.printed(one, unit=True, interval=False) for one in means
        ), path.name


def test_rows_of_the_fidelity_table(fill: ModuleType) -> None:
    rows = {path.name: fill.claims(path.name).values() for path in fill.RESULTS.glob("fidelity-*")}
    decided = {
        (name, one["id"]): one["decision"]
        for name, claims in rows.items()
        for one in claims
        if one["id"].startswith("published/") and one["decision"] != "undecided"
    }
    assert decided == {
        ("fidelity-mnist-random", "published/random"): "loss",
        ("fidelity-cifar10-dsa", "published/dsa:batch_real=32,iterations=100"): "loss",
        ("fidelity-cifar10-term", "published/dm:batch_real=32,iterations=300"): "negligible",
        ("fidelity-mnist-term", "published/dm:batch_real=32,iterations=500"): "negligible",
        ("fidelity-mnist-term", "published/dsa:batch_real=32,iterations=200"): "negligible",
        ("fidelity-mnist-term", "published/dc:batch_real=32,iterations=250"): "negligible",
    }, "studies.md says that every other row is undecided"


DOCUMENTS = sorted(
    path.relative_to(HOUSE)
    for path in [HOUSE / "README.md", *(HOUSE / "docs").rglob("*.md")]
    if path.name != "answer.md" and "source" not in path.parts
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", (HOUSE / document).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for file, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", text):
        if not file.startswith("http"):
            target = (HOUSE / document).parent / file if file else HOUSE / document
            assert target.exists(), file
            if anchor:
                titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), flags=re.MULTILINE)
                assert anchor[1:] in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
