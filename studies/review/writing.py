"""The review with its answers as one HTML file, self-contained, and as Markdown."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from studies.engine.glossary import GLOSSARY
from studies.engine.report import template_text
from studies.engine.wording import images
from studies.review.gathering import Entry, Found, Source, gathered, spelt
from studies.review.limitations import Limit, limits

TITLE = "MIM4DD under review"
# A vector drawing of more than this is shown as pixels: some have thousands of points.
LARGEST_SVG = 200_000


@dataclass(frozen=True, eq=False)
class Review:
    """Every item of the review with what finished studies say of it, and the limits that they found."""

    sources: Sequence[Source]
    entries: Sequence[Entry]
    limits: Sequence[Limit]

    @staticmethod
    def of(sources: Sequence[Source], answers: Mapping[str, str]) -> Review:
        return Review(sources, gathered(sources, answers), limits(sources))

    def shown(self) -> dict[int, str]:
        """At most one picture for an item, and each only once, by the identity of the `Found` under which it stands."""
        seen, pictures = set[Path](), {}
        for entry in self.entries:
            for found in entry.found:
                file = picture(found)
                if file is not None and file not in seen:
                    seen.add(file)
                    pictures[id(found)] = embedded(file)
                    break
        return pictures


def picture(found: Found) -> Path | None:
    """The figure that shows what a study says of an item; None where it has none."""
    folder = found.source.path / "figures"
    drawing, pixels = (folder / f"{found.evidence.figure}.{kind}" for kind in ("svg", "png"))
    if drawing.is_file() and drawing.stat().st_size <= LARGEST_SVG:
        return drawing
    return pixels if found.evidence.figure and pixels.is_file() else None


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
    return (
        f"{study['dataset']}, {per_class}, protocol {study['protocol']}, {numbered}, results version {study['rules']}"
    )


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
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"setting": setting, "spelt": spelt}
    text = (files("studies.review") / "templates" / "review.html").read_text("utf-8")
    return environment.from_string(text).render(
        title=TITLE,
        css=Markup(template_text("report.css")),
        review=review,
        pictures=review.shown(),
        uses=first_uses(review.entries),
        spelt_in=first_spelt(review.entries),
        glossary=GLOSSARY,
        identity=id,
    )


def markdown(review: Review) -> str:
    """The report as text: index, limits, item by item."""
    uses, spelt_in = first_uses(review.entries), first_spelt(review.entries)
    lines = [f"# {TITLE}", "", "## Index", "", "| item | what is asked | status | why |", "|---|---|---|---|"]
    lines += [f"| {e.item.id} | {_cell(e.item.asked)} | {e.status} | {_cell(e.why)} |" for e in review.entries]
    lines += ["", "## Limits, and whose they are", ""]
    lines += ["| run | what | what the base loses | what the term adds | whose |", "|---|---|---|---|---|"]
    lines += [f"| {one.source.name} | {' | '.join(map(_cell, one.row))} |" for one in review.limits]
    for entry in review.entries:
        lines += ["", f"## {entry.item.id}: {entry.item.asked}", "", f"Status: {entry.status} ({entry.why})."]
        if entry.answer:
            lines += ["", entry.answer]
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
            lines += ["", f"`{found.source.study['command']}`"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
