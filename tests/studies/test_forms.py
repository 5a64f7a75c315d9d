"""The forms of an answer: quantities, CSV of numbers, LaTeX, SVG, the order of a report, and that it can be read."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
from answered import FOLDERS, LONG, answer_of, folder_of

from studies.engine.answer import Answer, Cell, Claim, Figure, Quantity, Sentence, Table, percent, points
from studies.engine.folder import StudyFolder
from studies.engine.glossary import GLOSSARY
from studies.engine.report import claims, facts, html, markdown, write_report
from studies.engine.statistics import Interval
from studies.engine.tables import csv_text, escaped, latex, numeric
from studies.engine.tracking import describe

NAMES = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in FOLDERS]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SENTENCE = r"(?:[^.]|\.(?! |$))+\."


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Quantity(0.881, 0.87, 0.892, 5, "percent"), "88.1% [87.0, 89.2]"),
        (Quantity(0.99, 0.95, 1.03, 2, "percent"), "99.0% [95.0, 100.0]"),
        (Quantity(0.5, n=1, unit="percent"), "50.0%"),
        (Quantity(0.2, unit="percent", digits=2), "20.00%"),
        (Quantity(0.004, -0.003, 0.011, 5, "points"), "+0.4 points [-0.3, +1.1]"),
        (Quantity(0.011, 0.008, 0.015, 5, "points", starred=True), "+1.1 points [+0.8, +1.5]*"),
        (Quantity(-0.02, n=1, unit="points"), "-2.0 points (no interval, n = 1)"),
        (Quantity(-0.059, -0.066, -0.053, 5, "points lost"), "5.9 points [5.3, 6.6]"),
        (Quantity(0.8, 0.28, 0.99, 5, "share"), "0.80 [0.28, 0.99]"),
        (Quantity(2.2811, n=3, unit="nats"), "2.281"),
        (Quantity(0.32191, 0.083, 0.663), "0.3219 [0.083, 0.66]"),
        (Quantity(221.4, unit="seconds"), "3:41"),
        (Quantity(None, n=0, unit="points"), "–"),
    ],
)
def test_a_quantity_prints_as_text_does(quantity: Quantity, text: str) -> None:
    assert str(quantity) == text
    assert " ".join(filter(None, quantity.printed)) == text.rstrip("*")


def test_sentences_and_cells_print_one_interval_alike() -> None:
    one, none = Interval(0.0112, 0.0078, 0.0151, 5), Interval(None, None, None, 0)
    assert percent(one) == str(Quantity.of(one, "percent"))
    assert points(one) == str(Quantity.of(one, "points"))
    assert points(one, cost=True) == "-1.1 points [-1.5, -0.8]"
    assert (percent(none), points(none), points(none, cost=True)) == ("–", "–", "unknown")


def table_of(*rows: dict[str, Cell]) -> Table:
    return Table.of("made", "A made table", rows, "A note:\n5% of it.")


def test_csv_holds_numbers_in_the_unit_of_the_head() -> None:
    gain = Quantity(0.0112345678, 0.008, 0.015, 5, "points", starred=True)
    table = table_of(
        {"method": "DM", "gain": gain, "P": Quantity(0.8, unit="share"), "p": 0.012345678, "lost": 0, "sets": None},
        {"method": "DC", "gain": replace(gain, low=None, high=None, starred=False), "P": None, "p": None}
        | {"lost": 1, "sets": 2.0},
        {"method": "a, b", "gain": None, "P": None, "p": float("nan"), "lost": 2, "sets": -0.0},
    )
    lines = csv_text(table).splitlines()
    heads = [f"gain (points) {part}" for part in ("mean", "low", "high", "n", "decided")]
    assert lines == [
        f"method,{','.join(heads)},P mean,p,lost,sets",
        "DM,1.12346,0.8,1.5,5,1,0.8,0.0123457,0,",
        "DC,1.12346,,,5,0,,,1,2",
        '"a, b",,,,,,,,2,0',
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_csv_is_of_numbers(name: str) -> None:
    for table in answer_of(name).tables:
        read = pandas.read_csv(io.StringIO(csv_text(table)))
        assert len(read) == len(table.rows)
        assert not read.isin(["–"]).any().any()
        for column in read:
            assert not read[column].astype(str).str.fullmatch(r"[-+\d.]*(%| points)? ?\[.*, .*\]\*?").any(), column
            if re.search(r" (mean|low|high|n|decided)$", str(column)):
                assert read[column].dtype.kind in "fi", column
        for k, column in enumerate(table.columns):
            cells = [row[k] for row in table.rows]
            means = [cell.numbers[0] for cell in cells if isinstance(cell, Quantity) and cell.mean is not None]
            if means:
                # One column may be called `DM` and another `DM (precision=bf16)`.
                unit = rf"{re.escape(column)} \(.*\) mean$"
                whole = f"{column} mean"
                head = whole if whole in read else next(c for c in read if re.match(unit, c))
                assert read[head].dropna().tolist() == pytest.approx(means, rel=1e-5, abs=1e-12)


def test_latex_escapes_what_latex_reads_otherwise() -> None:
    assert escaped("50% of a_b & #1 {x} $y ~^ \\") == (
        r"50\% of a\_b \& \#1 \{x\} \$y \textasciitilde{}\textasciicircum{} \textbackslash{}"
    )
    assert escaped("τ λ β 5 × 3 a·b – <5") == r"$\tau$ $\lambda$ $\beta$ 5 $\times$ 3 a$\cdot$b -- $<$5"
    assert escaped("-0.3 [-1.0, +0.4] 1e-05 k-center 2-6") == "$-$0.3 [$-$1.0, $+$0.4] 1e-05 k-center 2-6"


def test_latex_is_a_tabular_of_booktabs_with_numbers_flush_right() -> None:
    gain = Quantity(0.011, -0.008, 0.015, 5, "points", starred=True)
    long = "a text that is so long that it cannot stand on one line of a table"
    table = table_of({"method": "DM_1", "gain": gain, "n": 5, "none": None, "why": long})
    assert latex(table, "python studies/x.py --set a\n--b").splitlines() == [
        "% python studies/x.py --set a",
        "% --b",
        "% A made table",
        "% A note:",
        "% 5% of it.",
        r"% Needs \usepackage{booktabs}; too wide for a page: \resizebox{\linewidth}{!}{...} of graphicx.",
        r"\begin{tabular}{lrrp{5cm}}",
        r"\toprule",
        r"method & gain (points) & n & why \\",
        r"\midrule",
        rf"DM\_1 & $+$1.1 [$-$0.8, $+$1.5]$^{{*}}$ & 5 & {long} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_table_is_latex(name: str) -> None:
    for table in answer_of(name).tables:
        lines = [line for line in latex(table, "x").splitlines() if not line.startswith("%")]
        assert "".join(lines).isascii(), set(re.findall(r"[^\x00-\x7f]", "".join(lines)))
        kinds = re.fullmatch(r"\\begin\{tabular\}\{((?:[lr]|p\{5cm\})+)\}", lines[0])
        assert kinds is not None
        columns = len(re.findall(r"[lr]|p\{5cm\}", kinds[1]))
        body = [line for line in lines if line.endswith(r" \\")]
        assert len(body) == len(table.rows) + 1
        for line in body:
            bare = re.sub(r"\\[a-zA-Z]+(\{\})?|\\[%&#_${}'\"]", "", line.removesuffix(r"\\"))
            assert bare.count("&") == columns - 1
            assert bare.count("$") % 2 == 0
            assert bare.count("{") == bare.count("}")
            outside = re.sub(r"\$[^$]*\$", "", bare)
            assert not re.search(r"[\\%#_^<>|~]", outside), outside


def claim(id: str) -> Claim:
    return Claim(id, "mean", "what", "test", "percent", 0.5, 0.4, 0.6, 3)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return replace(folder_of("fidelity-mnist-term"), path=tmp_path)


def drawn(name: str) -> Figure:
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(2, 2))
    drawing.subplots().plot([0, 1], [1, 0], label="a line")
    drawing.axes[0].set_title("words of a figure")
    return Figure(name, "Every method", "A caption with `code`.", drawing)


def made() -> Answer:
    return Answer(
        sentences=(Sentence("First detail.", (claim("b"),)), Sentence("Second detail.")),
        tables=(
            table_of({"method": "DM", "gain": Quantity(0.01, 0.0, 0.02, 5, "points", starred=True), "vacant": None}),
        ),
        figures=(drawn("one"), replace(drawn("two"), title="Every method")),
        notes=("A note.",),
        claims=(claim("a"), claim("b")),
        plain=(Sentence("The short of it.", (claim("a"), claim("b"))),),
    )


def in_order(text: str, *parts: str) -> bool:
    places = [text.index(part) for part in parts]
    return places == sorted(places)


def test_an_answer_is_read_in_one_order_everywhere(folder: StudyFolder) -> None:
    answer = made()
    write_report(answer, folder)
    assert answer.lines == ["The short of it.", "", "First detail.", "Second detail."]
    order = ("In short", "The short of it.", "In detail", "First detail.", "Contents", "A caption", "A made table")
    order = (*order[:-1], "A note:", "A note.", "Glossary", GLOSSARY[0][1], "Where this comes from")
    text, page = markdown(answer, folder), re.sub(r"<nav>.*?</nav>", "Contents", html(answer, folder), flags=re.DOTALL)
    text = re.sub(r"(## Contents).*?(\n## )", r"\1\2", text, flags=re.DOTALL)
    page = page.replace("&#39;", "'")
    assert in_order(text, *order)
    assert in_order(page.partition("<body>")[2], *order)
    for one in (markdown(replace(answer, plain=()), folder), html(replace(answer, plain=()), folder)):
        assert "In short" not in one
        assert "In detail" not in one
    assert replace(answer, plain=()).lines == ["First detail.", "Second detail."]


def test_mlflow_shows_the_answer_without_pictures_contents_and_glossary(folder: StudyFolder) -> None:
    write_report(made(), folder)
    text = describe.answer(folder)
    assert in_order(text, "The short of it.", "First detail.", "A made table", "Where this comes from")
    for left_out in ("![", "Contents", GLOSSARY[0][1]):
        assert left_out not in text


def test_claims_of_the_plain_answer_are_stated(folder: StudyFolder) -> None:
    assert {one["id"]: one["sentence"] for one in claims(made(), folder)} == {
        "a": "The short of it.",
        "b": "First detail.",
    }


def test_contents_lead_to_every_figure_and_table(folder: StudyFolder) -> None:
    answer = made()
    write_report(answer, folder)
    text = (folder.path / "answer.md").read_text("utf-8")
    links = re.findall(r"\]\(#([^)]*)\)", text)
    assert links == ["every-method", "every-method-1", "a-made-table", "notes", "glossary", "where-this-comes-from"]
    page = (folder.path / "report.html").read_text("utf-8")
    inside = re.findall(r'href="#([^"]*)"', page)
    assert inside == ["figure-one", "figure-two", "table-made", "notes", "glossary", "source"]
    assert all(f'id="{name}"' in page for name in inside)
    files = re.findall(r'href="([^"#]*)"', page)
    assert files == ["figures/one.svg", "figures/two.svg", "tables/made.csv", "tables/made.tex"]
    assert all((folder.path / name).is_file() for name in files)
    assert "A caption with <code>code</code>." in page
    assert "vacant" not in page + text, "a column without a value"
    assert "vacant" in (folder.path / "tables" / "made.csv").read_text("utf-8")


def test_a_vector_figure_is_the_same_each_time_and_keeps_its_text(folder: StudyFolder) -> None:
    first, again = folder.path / "first", folder.path / "again"
    for out in (first, again):
        out.mkdir()
        write_report(made(), replace(folder, path=out))
    for name in ("one.svg", "one.png"):
        assert (first / "figures" / name).read_bytes() == (again / "figures" / name).read_bytes()
    svg = (first / "figures" / "one.svg").read_text("utf-8")
    assert "words of a figure" in svg
    assert "dc:date" not in svg
    # A figure that cannot be drawn again keeps what is there; one that is no more leaves nothing.
    kept = replace(made(), figures=(replace(drawn("one"), drawing=None),))
    write_report(kept, replace(folder, path=first))
    assert sorted(path.name for path in (first / "figures").iterdir()) == ["one.png", "one.svg"]


@pytest.mark.parametrize("name", ["fidelity-mnist-term", "noise-digits", "baselines-digits"])
def test_no_form_says_one_or_more_of_a_thing_in_brackets(name: str) -> None:
    told = dict(facts(folder_of(name)))
    assert told["machine"].startswith("1 node, ")
    assert "1 image per class" in told["data"]
    assert re.search(r", results version \d+: ", told["protocol"])
    assert "(s)" not in markdown(answer_of(name), folder_of(name))


def test_notes_on_the_data_stand_beside_its_digest() -> None:
    folder = folder_of("noise-digits")
    noted = replace(folder, study={**folder.study, "data_notes": ["files left out: 3"]})
    assert dict(facts(noted))["data"] == f"{dict(facts(folder))['data']}; files left out: 3"


def test_a_term_of_the_glossary_has_two_sentences() -> None:
    assert [term for term, text in GLOSSARY if not re.fullmatch(rf"{SENTENCE} {SENTENCE}", text)] == []


MEASURE = """<script>addEventListener("load", () => {
  const wide = [...document.querySelectorAll(".scroll")].filter(box => box.scrollWidth > box.clientWidth);
  const names = wide.map(box => box.previousElementSibling.id + " " + box.scrollWidth + "/" + box.clientWidth);
  if (document.documentElement.scrollWidth > innerWidth) names.push("page");
  document.body.setAttribute("data-wide", names.join(", ") || "none");
})</script></body>"""


def too_wide(page: str, width: int, folder: Path) -> str:
    """What of a page is wider than its box in a window of this width, as chromium lays it out."""
    assert CHROMIUM is not None
    file = folder / "page.html"
    file.write_text(page.replace("</body>", MEASURE), encoding="utf-8")
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}"]
    words += [f"--window-size={width},1000", "--dump-dom", file.as_uri()]
    dumped = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    measured = re.search(r'data-wide="([^"]*)"', dumped)
    assert measured is not None
    return measured[1]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) for name in ("noise-digits", "noise-digits-bases", "baselines-digits")]
    + ["fidelity-mnist-term"],
)
def test_no_table_is_cut_in_a_window_or_on_paper(name: str, tmp_path: Path) -> None:
    for part in ("figures", "tables"):
        (tmp_path / part).mkdir()
    answer, folder = replace(answer_of(name), figures=()), replace(folder_of(name), path=tmp_path)
    page = html(answer, folder)
    assert any(numeric(table, k) for table in answer.tables for k in range(len(table.columns)))
    assert too_wide(page, 1600, tmp_path) == "none"
    # A4 landscape within margins of 14 mm.
    assert too_wide(page.replace("@media print", "@media all"), 1016, tmp_path) == "none"
