"""The review with its answers as one HTML file, self-contained, and as Markdown."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from studies.engine.glossary import GLOSSARY
from studies.engine.report import template_text
from studies.engine.tables import of_markdown
from studies.engine.wording import images
from studies.review.gathering import Entry, Found, Source, gathered, spelt
from studies.review.limitations import Limit, limits
from studies.review.words import PREFACE, Answer, Picture

TITLE = "MIM4DD under review"
INTRODUCTION = (
    "A review of MIM4DD (NeurIPS 2023) asked and doubted what stands below, in our words. Each item has the claims of "
    "finished studies that decide it, with intervals, numbers of pairs and decisions by one rule; what no study "
    "decides says so."
)
TERMS = (
    "MIM4DD is a reconstruction here: no copy of its code could be obtained. `DM + MIM4DD (default)` has the paper's "
    "weight, 0.8. At equal strength, `DM + MIM4DD (equal strength)`, the term is scaled until its gradient on the "
    "pixels is as large as its base's: that is meant where an answer names the term alone, and it is no setting of "
    "the paper's. n counts synthetic sets, each of a seed of its own. Other words are in the glossary at the end."
)
STATUSES = (
    "S: what the summary claims or doubts; Q: a question; C: a detailed comment. Answered: a contrast of its studies "
    "is a gain, a loss or negligible. Undecided: no contrast is. Measured: it asks for amounts, which stand with their "
    "intervals. Partly answered: a study, a kind of claim or a data set that it asks for is not among the folders, or "
    "no study can decide a part of it. "
    "Argued: in words alone."
)
LIMITS = (
    "Under noise or imbalance, not both: the level that costs the base most, what it loses there against clean data, "
    "and the change of the term's gain. A limit is the term's own where that change is a decided loss and what the "
    "base loses is decided to be none; shared where the base loses and the change is negligible. The term's own "
    "without a base's loss to compare: what it loses in comparisons of methods, weaker strengths among them, near "
    "published accuracies and on other networks; what its gain is smaller by on those; and the time and the memory "
    "that it adds. Of a planted cue: the correlation at which the base amplifies it most, by its gap less that of "
    "random images, and what the term adds to the gap; and each correlation at which the term widens the gap where it "
    "is not decided that the base amplifies the cue. Each decision is that of its study: one of more conditions "
    "corrects for more of them."
)
# A vector drawing of more than this is shown as pixels: some have thousands of points.
LARGEST_SVG = 100_000


@dataclass(frozen=True, eq=False)
class Review:
    """Every item of the review with what finished studies say of it, and the limits that they found."""

    sources: Sequence[Source]
    entries: Sequence[Entry]
    limits: Sequence[Limit]
    preface: Sequence[str] = ()

    @staticmethod
    def of(sources: Sequence[Source], answers: Mapping[str, Answer]) -> Review:
        preface = [one for one in answers.get(PREFACE, ()) if isinstance(one, str)]
        versions = sorted({str(source.study["rules"]) for source in sources})
        if len(versions) > 1:
            preface.append(
                f"The runs are of results versions {', '.join(versions)}; no contrast is over two of them, and by how "
                "much a version moved numbers is in the changelog."
            )
        return Review(sources, gathered(sources, answers), limits(sources), preface)

    def shown(self) -> dict[int, Path]:
        """The pictures, each only once, by the identity of the `Picture` or `Found` under which it stands.

        Those that an answer has; for an item whose answer has none, the first figure of its studies.
        """
        chosen = [one for entry in self.entries for one in entry.answer if isinstance(one, Picture)]
        files = {id(one): drawing(one.file) for one in chosen}
        places = {file.resolve(): place for place, file in reversed(files.items())}
        for entry in self.entries:
            if not any(isinstance(one, Picture) for one in entry.answer):
                for found in entry.found:
                    file = picture(found)
                    if file is not None and file.resolve() not in places:
                        places[file.resolve()], files[id(found)] = id(found), file
                        break
        return {place: file for place, file in files.items() if places[file.resolve()] == place}


def picture(found: Found) -> Path | None:
    """The figure that shows what a study says of an item; None where it has none."""
    file = drawing(found.source.path / "figures" / f"{found.evidence.figure}.png")
    return file if found.evidence.figure and file.is_file() else None


def caption(found: Found) -> str:
    return f"{found.evidence.figure} of {found.source.name}"


def drawing(file: Path) -> Path:
    """The vector drawing that stands beside a picture, if it is small enough, else the picture."""
    beside = file.with_suffix(".svg")
    return beside if beside.is_file() and beside.stat().st_size <= LARGEST_SVG else file


def embedded(file: Path) -> str:
    """A picture as a data URI: each drawing keeps its own names of shapes."""
    kind = "svg+xml" if file.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def setting(source: Source) -> str:
    """On what a study was run: `digits, 1 image per class, protocol digits, seeds 0 to 4`."""
    study = source.study
    seeds = study["seeds"]
    numbered = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    per_class = images(int(study["configuration"]["ipc"]))
    # Costs beyond the study's own data are measured on images of other shapes, made for it.
    levels = {level["label"] for factor in study.get("factors", ()) for level in factor["levels"]}
    data = "made images" if study["study"] == "cost" and study["dataset"] not in levels else study["dataset"]
    return f"{data}, {per_class}, protocol {study['protocol']}, {numbered}, results version {study['rules']}"


def first_uses(entries: Sequence[Entry]) -> dict[Path, str]:
    """The item under which each study's answer in short stands, by its folder: the first that uses it."""
    uses: dict[Path, str] = {}
    for entry in entries:
        for found in entry.found:
            uses.setdefault(found.source.path, entry.item.id)
    return uses


def first_spelt(entries: Sequence[Entry]) -> dict[tuple[Path, str], str]:
    """The item under which the claims of a kind are spelt out, by folder and kind: the first that has them."""
    first: dict[tuple[Path, str], str] = {}
    for entry in entries:
        for found in entry.found:
            for statement in found.statements:
                first.setdefault((found.source.path, statement.kind), entry.item.id)
    return first


def html(review: Review) -> str:
    """The report as one file that loads nothing."""
    from jinja2 import Environment
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    # A picture within a line would be loaded from elsewhere.
    written = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "setting": setting,
        "spelt": spelt,
        "written": lambda text: Markup(written.render(text)),
    }
    text = (files("studies.review") / "templates" / "review.html").read_text("utf-8")
    return environment.from_string(text).render(
        title=TITLE,
        introduction=INTRODUCTION,
        terms=TERMS,
        statuses=STATUSES,
        explained=LIMITS,
        css=Markup(template_text("report.css")),
        review=review,
        pictures={place: embedded(file) for place, file in review.shown().items()},
        uses=first_uses(review.entries),
        spelt_in=first_spelt(review.entries),
        glossary=GLOSSARY,
        identity=id,
        caption=caption,
    )


def markdown(review: Review, folder: Path) -> str:
    """The report as text: index, limits, item by item. folder: of the file, from which pictures are named."""
    uses, spelt_in, pictures = first_uses(review.entries), first_spelt(review.entries), review.shown()
    lines = [
        f"# {TITLE}",
        "",
        *(line for paragraph in (INTRODUCTION, TERMS, *review.preface) for line in (paragraph, "")),
        "## Index",
        "",
        STATUSES,
        "",
        "| item | what is asked | status | why |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {e.item.id} | {of_markdown(e.item.asked)} | {e.status} | {of_markdown(e.why)} |" for e in review.entries
    ]
    lines += ["", "## Limits, and whose they are", "", LIMITS, ""]
    lines += ["| run | what | what the base loses | what the term adds | whose | claim |", "|---|---|---|---|---|---|"]
    lines += [f"| {one.source.name} | {' | '.join(map(of_markdown, one.row))} |" for one in review.limits]
    for entry in review.entries:
        lines += ["", f"## {entry.item.id}: {entry.item.asked}", "", f"Status: {entry.status} ({entry.why})."]
        for one in entry.answer:
            if not isinstance(one, Picture):
                lines += ["", one]
            elif id(one) in pictures:
                lines += ["", f"![{one.caption}]({_from(folder, pictures[id(one)])})"]
        if entry.item.argued:
            lines += ["", entry.item.argued]
        lines += [""] if entry.counts else []
        lines += [f"- {one}" for one in entry.counts]
        for found in entry.found:
            lines += ["", f"### {found.source.name}: {setting(found.source)}", ""]
            if uses[found.source.path] == entry.item.id and found.source.short:
                lines += [f"> {found.source.short}", ""]
            for statement in found.statements:
                line, item = f"- `{statement.kind}`: {statement.heading}", spelt_in[found.source.path, statement.kind]
                if item != entry.item.id:
                    lines.append(f"{line} (under {item})")
                    continue
                lines += [line, *(f"  - {spelt(one)}, `{one['id']}`" for one in statement.claims)]
            if id(found) in pictures:
                lines += ["", f"![{caption(found)}]({_from(folder, pictures[id(found)])})"]
            lines += ["", f"`{found.source.study['command']}`"]
    lines += ["", "## Glossary", "", *(f"- **{term}**: {text}" for term, text in GLOSSARY)]
    return "\n".join(lines) + "\n"


def _from(folder: Path, file: Path) -> str:
    return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
