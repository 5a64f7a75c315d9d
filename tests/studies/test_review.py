"""The review's report: every item has an entry, says no more than its claims, and rests on trials that are there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answered import copied

from mim4dd.errors import InputError
from studies.report import main
from studies.review.gathering import (
    ANSWERED,
    ARGUED,
    MEASURED,
    OPEN,
    PARTLY,
    UNDECIDED,
    Entry,
    Source,
    spelt,
)
from studies.review.items import ITEMS
from studies.review.limitations import EASED, MORE, NEITHER, OWN, SHARED, TERMS, UNKNOWN, Limit, limits
from studies.review.words import PREFACE, answers_in
from studies.review.writing import Review, embedded, html, markdown

RESULTS = Path(__file__).parents[2] / "docs" / "results"
# What the review asks, in the order of its text.
ASKED = [f"S{k}" for k in range(1, 5)] + [f"Q{k}" for k in range(1, 8)]
ASKED += [f"C{part}{letter}" for part in range(1, 6) for letter in ("abcde" if part == 5 else "abcdef")]
SOME = ("noise-digits-bases", "imbalance-digits", "cost-digits", "baselines-digits-ipc10", "sensitivity-digits")


def source(name: str) -> Source:
    return Source.read(RESULTS / name)


@pytest.fixture(scope="module")
def review() -> Review:
    return Review.of([source(name) for name in SOME], {})


def entry_of(entries: Sequence[Entry], item: str) -> Entry:
    return next(one for one in entries if one.item.id == item)


def entry(review: Review, item: str) -> Entry:
    return entry_of(review.entries, item)


def test_every_item_of_the_review_has_an_entry_with_evidence_or_an_argument(review: Review) -> None:
    assert [item.id for item in ITEMS] == ASKED
    assert [one.item.id for one in review.entries] == ASKED
    for item in ITEMS:
        assert item.evidence or item.argued, item.id
        assert item.asked.endswith((".", "?"))


@pytest.mark.parametrize("name", sorted({one.study for item in ITEMS for one in item.evidence}))
def test_evidence_names_studies_that_there_are(name: str) -> None:
    assert (Path(__file__).parents[2] / "studies" / f"{name}.py").is_file()


def test_a_status_is_what_the_claims_decide(review: Review) -> None:
    assert entry(review, "Q7").status == ANSWERED
    assert entry(review, "C2b").status == ARGUED
    assert entry(review, "Q2").status == OPEN
    assert entry(review, "Q2").why == "no run of studies/ablation.py is among these folders"
    assert entry(review, "C5d").why == "no run of studies/baselines.py here claims `tuned/*`"
    assert entry(review, "S4").status == PARTLY
    assert "claims `importance/*`" in entry(review, "Q5").why, "each kind of claim that is asked for is looked for"
    random = Review.of([source("fidelity-mnist-random-augmented")], {})
    published = next(iter(random.entries[0].found[0].statements))
    assert dict(published.counts) == {"undecided": 1}
    assert random.entries[0].status == PARTLY
    gains = replace(random.entries[0], missing=())
    assert gains.status == UNDECIDED


def test_counts_are_those_of_the_claims(review: Review) -> None:
    found = entry(review, "C1f").found[0]
    gains = next(one for one in found.statements if one.kind == "gain/*")
    claims = [one for id, one in found.source.claims.items() if id.startswith("gain/")]
    assert sum(gains.counts.values()) == len(claims) == 15
    assert gains.counts["undecided"] == sum(one["decision"] == "undecided" for one in claims)
    assert gains.heading.startswith("15 contrasts: ")
    decided = [one for one in gains.claims if one["decision"] != "undecided"]
    assert gains.claims[: len(decided)] == tuple(decided), "what is decided comes first"


def test_a_claim_is_spelt_with_its_interval_its_n_and_its_decision() -> None:
    claims = source("noise-digits").claims
    assert spelt(claims["gain/mim:base=dm/clean"]) == (
        "DM + MIM4DD (default) less DM, clean: +0.2 points [-0.1, +0.6] (n = 5; undecided)"
    )


def of(decision: str, size: str = "") -> dict[str, Any]:
    return {
        "decision": decision,
        "size": size,
        "estimate": -0.1,
        "low": -0.2,
        "high": 0.0,
        "unit": "points",
        "margin": 0.005,
    }


@pytest.mark.parametrize(
    ("base", "change", "whose"),
    [
        ("loss", "loss", MORE),
        ("undecided", "loss", TERMS),
        ("negligible", "loss", OWN),
        ("loss", "gain", EASED),
        ("loss", "negligible", SHARED),
        ("loss", "undecided", UNKNOWN),
        ("undecided", "undecided", NEITHER),
        ("undecided", "gain", NEITHER),
    ],
)
def test_whose_a_limit_is(base: str, change: str, whose: str) -> None:
    assert Limit(source("noise-digits"), "x", of(base), of(change)).verdict == whose


def test_limits_are_of_the_costliest_level_of_each_curve(review: Review) -> None:
    order = [one.verdict for one in limits(review.sources)]
    assert order[0] == OWN
    assert [one for one, after in zip(order, [*order[1:], ""], strict=True) if one != after] == list(
        dict.fromkeys(order)
    )
    found = [one for one in limits(review.sources) if one.source.name == "noise-digits-bases"]
    assert {one.what.partition(",")[0] for one in found} == {"symmetric 0.6"}
    assert len(found) == 5, "two arms on DM, one on each other base"
    assert {one.verdict for one in found} == {EASED, UNKNOWN, NEITHER}
    own = [one for one in limits(review.sources) if one.source.name == "baselines-digits-ipc10"]
    assert [one.verdict for one in own] == [OWN] * 3
    assert all(one.term["decision"] == "loss" for one in own)


def test_conditions_without_a_common_severity_are_limits_each() -> None:
    """Two noises by matrices of one's own are two families, whatever the names of their files have in common."""
    studied = source("noise-digits-bases")
    apart = [{**one, "family": one["label"]} for one in studied.study["conditions"]]
    labels = {one["label"] for one in apart} - {"clean"}
    assert len(labels) > 1
    found = limits([replace(studied, study={**studied.study, "conditions": apart})])
    assert {one.what.partition(",")[0] for one in found} == labels


def test_the_report_loads_nothing_and_says_each_claim_in_both_forms(review: Review) -> None:
    page, text = html(review), markdown(review, RESULTS)
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    for item in ITEMS:
        assert f'id="{item.id}"' in page
        assert f"## {item.id}: " in text
    for one in review.entries:
        for found in one.found:
            assert found.source.study["command"] in text
            for statement in found.statements:
                for claim in statement.claims:
                    assert f"`{claim['id']}`" in text
    assert 1 <= page.count("data:image/") <= len(ITEMS)


def test_claims_whose_trials_have_no_row_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "noise"
    copied("noise-fashion", out)
    rows = (out / "rows.jsonl").read_text().splitlines(keepends=True)
    gone = json.loads(rows[0])["trial"]
    (out / "rows.jsonl").write_text("".join(rows[1:]))
    with pytest.raises(InputError, match=f"1 trial of its claims have no row, such as {gone}"):
        Source.read(out)
    assert main([str(out), "--out", str(tmp_path / "review.html")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "it is not finished: leave it out, or continue it with: python studies/noisy_labels.py" in told
    (out / "rows.jsonl").write_text("".join(rows)[:-2])  # a last line that a killed driver left
    assert main([str(out), "--out", str(tmp_path / "review.html")]) == 2
    assert "it is not finished" in capsys.readouterr().err
    (out / "rows.jsonl").write_text("".join(rows))
    claims = (out / "claims.jsonl").read_text()
    (out / "claims.jsonl").write_text(claims.replace(gone, "0" * len(gone)))
    with pytest.raises(InputError, match="write its answer again with"):
        Source.read(out)
    assert not (tmp_path / "review.html").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"estimate": "x"},
        {"unit": "parsecs"},
        {"decision": "maybe"},
        {"decision": None},
        {"trials": "all"},
        {"margin": "x"},
        {"id": "change/one/level", "terms": []},
    ],
)
def test_damaged_claims_are_one_line(
    changes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "noise"
    copied("noise-fashion", out)
    first, *rest = (out / "claims.jsonl").read_text().splitlines()
    (out / "claims.jsonl").write_text("\n".join([json.dumps({**json.loads(first), **changes}), *rest]))
    assert main([str(out), "--out", str(tmp_path / "review.html")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: the claims of {out} cannot be read (")
    assert told.count("\n") == 1


def test_a_folder_that_is_given_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = RESULTS / "noise-fashion", tmp_path / "review.html"
    assert main([str(folder), f"{folder.parent}/../results/{folder.name}", "--out", str(out)]) == 0
    assert "by 1 study folder" in capsys.readouterr().out
    assert main([str(folder), "--out", str(tmp_path / "review.md")]) == 2
    assert "is the HTML file; the text stands beside it as review.md" in capsys.readouterr().err
    (tmp_path / "there.html").mkdir()
    for out in (".", str(tmp_path / "report"), str(tmp_path / "there.html")):
        assert main([str(folder), "--out", out]) == 2
        assert f"--out must name the HTML file, such as review.html, got {out}" in capsys.readouterr().err


def test_only_an_earlier_report_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, out = tmp_path / "answers.md", tmp_path / "answers.html"
    words.write_text("# MIM4DD under review\n\n## S1\n\nYes.\n")
    asked = [str(RESULTS / "noise-fashion"), "--answers", str(words), "--out"]
    assert main([*asked, str(out)]) == 2
    assert f"would replace {words}, the answers in words; give another name" in capsys.readouterr().err
    page = tmp_path / "links.html"
    page.write_text("<title>Links</title> to MIM4DD under review")
    assert main([*asked, str(page)]) == 2
    assert f"would replace {page}, which is no earlier report; give another name" in capsys.readouterr().err
    assert words.read_text().endswith("Yes.\n")
    assert not out.exists()
    for _ in range(2):  # the second replaces the first
        assert main([*asked, str(tmp_path / "review.html")]) == 0
    assert main([*asked[:1], str(tmp_path / "gone"), *asked[3:], str(out)]) == 2
    assert f"{tmp_path / 'gone'} does not exist" in capsys.readouterr().err


def test_what_the_term_adds_on_other_networks_and_to_memory_are_limits_of_its_own() -> None:
    sources = [source("architectures-digits-quick"), source("cost-digits")]
    found = {one.row[-1]: one for one in limits(sources)}
    term = "mim:base=dm,balance=gradnorm,weight=1"
    for id in (f"transfer-of-gain/{term}", f"overhead/{term.replace('dm', 'mtt')}/digits/peak"):
        assert found[f"`{id}`"].verdict == OWN


def test_whose_a_planted_cues_pull_is() -> None:
    found = {one.row[-1]: one for one in limits([source("bias-digits"), source("bias-digits-rare")])}
    term = "`term-gap/mim:base={},balance=gradnorm,weight=1{}/colour-{}`"
    verdicts = {id: one.verdict for id, one in found.items()}
    assert verdicts == {
        term.format("dm", "", 0.5): UNKNOWN,
        term.format("dc", "", 0.5): EASED,
        term.format("dm", ",base.batch_weights=rare", 0.95): TERMS,
    }
    assert all(one.base is not None for one in found.values())


def test_several_results_versions_are_told() -> None:
    other = source("ablation-digits-dc")
    one = replace(source("noise-fashion"), study={**source("noise-fashion").study, "rules": "1"})
    assert Review.of([one], {}).preface == []
    (told,) = Review.of([one, other], {}).preface
    assert told.startswith("The runs are of results versions 1, 3; no contrast is over two of them")


def test_what_no_study_can_decide_leaves_an_item_answered_in_part(review: Review) -> None:
    entries = {entry.item.id: entry for entry in review.entries}
    assert (entries["C4e"].status, entries["C4e"].missing) == (PARTLY, ("open: how the paper tuned them",))


def test_folders_without_an_answer_or_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "none of 1 folder holds a study.json" in capsys.readouterr().err
    (tmp_path / "study.json").write_bytes((RESULTS / "noise-fashion" / "study.json").read_bytes())
    assert main([str(tmp_path)]) == 2
    assert "has no answer yet" in capsys.readouterr().err


def test_ones_own_study_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, out = tmp_path / "own", tmp_path / "review.html"
    copied("noise-fashion", own)
    study = json.loads((own / "study.json").read_text())
    (own / "study.json").write_text(json.dumps({**study, "study": "seasons"}))
    assert main([str(own), str(RESULTS / "noise-fashion"), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert told.err == f"{own} holds seasons, which no item asks for: passed over\n"
    assert "by 1 study folder:" in told.out
    assert main([str(own), "--out", str(out)]) == 2
    assert "no item of the review asks for these studies" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([str(RESULTS / "noise-fashion"), "--out", str(tmp_path / "file" / "review.html")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: --out ")
    assert told.count("\n") == 1


def test_all_results_make_one_small_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "review.html"
    words = ["--answers", str(RESULTS.parent / "answers.md"), "--out", str(out)]
    assert main([*map(str, sorted(RESULTS.iterdir())), *words]) == 0
    assert f"{len(ITEMS)} items of the review by " in capsys.readouterr().out
    assert out.stat().st_size < 3_000_000
    kept = RESULTS.parent / "report.md"
    text = out.with_suffix(".md").read_text("utf-8").replace(f"{os.path.relpath(kept.parent, tmp_path)}/", "")
    assert text == kept.read_text("utf-8"), "write docs/report.html again"


def test_figures_that_items_name_are_drawn_by_their_studies() -> None:
    drawn: dict[str, set[str]] = {}
    for path in RESULTS.glob("*/study.json"):
        study = json.loads(path.read_text(encoding="utf-8"))["study"]
        drawn.setdefault(study, set()).update(file.stem for file in path.parent.glob("figures/*"))
    named = {(one.study, one.figure) for item in ITEMS for one in item.evidence if one.figure}
    assert named
    assert not [(study, figure) for study, figure in named if figure not in drawn[study]]


def test_the_claims_of_a_kind_are_spelt_out_once(review: Review) -> None:
    text = markdown(review, RESULTS)
    ids = [
        f"`{claim['id']}`"
        for one in review.entries
        for found in one.found
        for s in found.statements
        for claim in s.claims
    ]
    spelt_out = re.findall(r"^  - .*, (`[^`]+`)$", text, re.MULTILINE)
    assert set(spelt_out) == set(ids)
    kinds = {(found.source.path, s.kind) for one in review.entries for found in one.found for s in found.statements}
    held = [s for one in review.entries for found in one.found for s in found.statements]
    assert len(held) > len(kinds), "some kinds are asked for by several items"
    assert text.count(" (under ") == html(review).count("(under <a") == len(held) - len(kinds)


def test_of_seconds_below_one_the_longest_are_spelt_out_first() -> None:
    """They are stored as logarithms, of which the shortest is the furthest from zero."""
    studied = source("cost-digits")
    claims = {
        id: {**one, "estimate": one["estimate"] - 7} if one["unit"] == "log seconds" and one["n"] else one
        for id, one in studied.claims.items()
    }
    asked = entry(Review.of([replace(studied, claims=claims)], {}), "Q1")
    [found] = [s.claims for one in asked.found for s in one.statements if s.kind == "total/*"]
    estimates = [one["estimate"] for one in found]
    assert estimates == sorted(estimates, reverse=True)
    assert -7 < estimates[-1] < estimates[0] < 0


WORDS = "# Ours\n\n## S1: the claim\n\nNot shown.\n\nIn `gain/*` it is.\n\n## Q5\n\nSomewhat.\n"


def test_answers_in_words_stand_before_the_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.md").write_text(WORDS)
    held = answers_in(tmp_path / "words.md")
    (tmp_path / "windows.md").write_bytes(
        b"\xef\xbb\xbf" + WORDS.replace("# Ours\n\n", "").replace("\n", "\r\n").encode()
    )
    assert answers_in(tmp_path / "windows.md") == held
    assert held == {"S1": ("Not shown.\n\nIn `gain/*` it is.",), "Q5": ("Somewhat.",)}
    (tmp_path / "above.md").write_text(WORDS.replace("# Ours\n", "# Ours\n\nOf digits.\n\nAlone.\n"))
    (tmp_path / "one.png").touch()
    (tmp_path / "picture.md").write_text("![One](one.png)\n\n" + WORDS)
    with pytest.raises(InputError, match="has a picture above its first answer"):
        answers_in(tmp_path / "picture.md")
    assert answers_in(tmp_path / "above.md") == {PREFACE: ("Of digits.\n\nAlone.",), **held}
    out = tmp_path / "review.html"
    assert main([str(RESULTS / "noise-fashion"), "--answers", str(tmp_path / "words.md"), "--out", str(out)]) == 0
    page, text = out.read_text("utf-8"), out.with_suffix(".md").read_text("utf-8")
    assert '<div class="answer"><p>Not shown.</p>\n<p>In <code>gain/*</code> it is.</p>' in page
    assert text.index("Not shown.") < text.index("No accuracy of the paper is reproduced")
    capsys.readouterr()


def test_answers_may_have_lists_links_and_tables_but_load_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    (tmp_path / "words.md").write_text(
        "## S1\n\n1. A *first*\n\n2. <b>Then</b>, [there](https://example.org)\n\n| a |\n|---|\n| 1 |\n\n"
        "![One](one.png)\n\nAnd ![two](https://example.org/two.png).\n"
    )
    held = answers_in(tmp_path / "words.md")
    assert [type(one).__name__ for one in held["S1"]] == ["str", "Picture", "str"]
    out = tmp_path / "review.html"
    assert main([str(RESULTS / "noise-fashion"), "--answers", str(tmp_path / "words.md"), "--out", str(out)]) == 0
    page = out.read_text("utf-8")
    answer = page[page.index('<div class="answer">') : page.index('<div class="run">')]
    assert answer.count("<ol>") == 1
    assert "<em>first</em>" in answer
    assert '<a href="https://example.org">there</a>' in answer
    assert "&lt;b&gt;Then" in answer
    assert "<td>1</td>" in answer
    assert set(re.findall('src="([^"]{5})', page)) == {"data:"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no heading", "has no heading such as"),
        (b"## S9\n\nOf nothing.", "'## S9', which is no item"),
        (b"## S1\n\xff", "is not UTF-8 at byte 6"),
        (b"## S1\n\nA.\n\n## S1\n\nB.", "has two answers below '## S1'"),
        (b"## S1\n\n## Q5\n\nB.", "has no answer below '## S1'"),
        (b"## S1\n\n![One](nowhere.png)", "shows nowhere.png, which is no PNG or SVG file"),
        (b"![One](one.png)\n\n## S1\n\nA.", "shows one.png, which is no PNG or SVG file"),
        (b"## S1\n\n![One](words.md)", "shows words.md, which is no PNG or SVG file"),
        (None, "is no file"),
    ],
)
def test_answers_that_answer_nothing_are_one_line(
    content: bytes | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "words.md"
    if content is not None:
        file.write_bytes(content)
    assert main([str(RESULTS / "noise-fashion"), "--answers", str(file), "--out", str(tmp_path / "review.html")]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_pictures_that_an_answer_names_stand_in_it_once_and_instead_of_others(tmp_path: Path) -> None:
    picture = tmp_path / "costs.png"
    picture.write_bytes((RESULTS / "noise-fashion" / "figures" / "recall.png").read_bytes())
    picture.with_suffix(".svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    shown = picture.name
    words = f"## Q7\n\nUnder noise:\n\n![Costs,\nby level]({shown})\n\nSo it is.\n\n## C1f\n\n![Again]({shown})\n"
    (tmp_path / "words.md").write_text(words)
    out = tmp_path / "review.html"
    assert main([str(RESULTS / "noise-fashion"), "--answers", str(tmp_path / "words.md"), "--out", str(out)]) == 0
    page, text = out.read_text("utf-8"), out.with_suffix(".md").read_text("utf-8")
    assert page.count("<figcaption>") == page.count('alt="Costs, by level"') == 1
    assert page.index("Under noise:") < page.index("<figcaption>Costs, by level") < page.index("So it is.")
    drawing = Path(shown).with_suffix(".svg").as_posix()
    assert f"\n![Costs, by level]({drawing})\n" in text
    assert text.count("![Costs") == 1
    assert "![Again]" not in text, "each picture only once"
    assert embedded(tmp_path / drawing) in page
    assert 'alt="degradation of noise-fashion"' not in page


def test_two_folders_of_one_name_are_two_studies(tmp_path: Path) -> None:
    for where, name in (("a", "architectures-digits-quick"), ("b", "bias-digits-rare")):
        copied(name, tmp_path / where / "out")
    text = markdown(Review.of([Source.read(tmp_path / where / "out") for where in "ab"], {}), tmp_path)
    assert re.search(r"^  - .*`gain/[^`]*/colour-0.1/unbiased`$", text, re.MULTILINE)
    assert re.search(r"^  - .*`gain/[^`]*/mlp`$", text, re.MULTILINE)
    assert "2 of 2" not in entry_of(Review.of([source("cost-growth")], {}).entries, "C3e").why, (
        "one folder is one study"
    )


def test_a_data_set_that_is_asked_for_is_found_in_a_file_whose_classes_are_told_to_be_its(review: Review) -> None:
    sources = [source(name) for name in ("fidelity-cifar10-term", "fidelity-mnist-term")]
    why = Review.of(sources, {}).entries[0].why
    assert "no run of studies/fidelity.py here is on svhn or cifar100" in why


def test_amounts_alone_are_measured_and_decide_nothing() -> None:
    entries = Review.of([source("cost-paper")], {}).entries
    assert entry_of(entries, "C3b").status == MEASURED
    assert entry_of(entries, "C3b").why == "0 of 1 study decides something of it"
    heading = next(s.heading for s in entry_of(entries, "C3d").found[0].statements)
    assert heading.startswith("12 contrasts: larger in 2, undecided in 10")
