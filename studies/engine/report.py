"""Writes an answer into OUT: answer.md and .json, report.html (self-contained), figures/, tables/, claims.jsonl."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.durable import durably, encoded, finite, write_json
from studies.engine.answer import Answer, Quantity, Table
from studies.engine.folder import StudyFolder
from studies.engine.glossary import GLOSSARY
from studies.engine.shapes import AnswerRecord
from studies.engine.tables import LONG, csv_text, latex, numeric, of_markdown, shown
from studies.engine.views import cleared
from studies.engine.wording import images, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

DPI = 150  # dots per inch of a PNG


def write_report(answer: Answer, folder: StudyFolder) -> list[str]:
    """Write the answer into the study folder in every form; the files of an earlier answer are replaced or removed.

    Returns: a line for each thing that stood where a file or folder of the report belongs.
    Raises: OSError.
    """
    out = folder.path
    notes = cleared(folders=[out / "figures", out / "tables"])
    for name in ("figures", "tables"):
        (out / name).mkdir(exist_ok=True)
    notes += cleared(out / name for name in _names(answer))
    _drop_old(out / "figures", [figure.name for figure in answer.figures], (".png", ".svg"))
    _drop_old(out / "tables", [table.name for table in answer.tables], (".csv", ".tex"))
    for figure in answer.figures:
        if figure.drawing is not None:
            _draw(figure.drawing, out / "figures" / figure.name)
    available = tuple(figure for figure in answer.figures if (out / "figures" / f"{figure.name}.png").exists())
    answer = replace(answer, figures=available)
    for table in answer.tables:
        durably(out / "tables" / f"{table.name}.csv", encoded(csv_text(table)))
        durably(out / "tables" / f"{table.name}.tex", encoded(latex(table, folder.study["command"])))
    for name, content in answer.files.items():
        write_json(out / name, content)
    write_json(out / "answer.json", spoken(answer))
    write_json(out / "summary.json", answer.summary)
    write_json(out / "failures.json", answer.failed)
    lines = [json.dumps(finite(line), ensure_ascii=False, allow_nan=False) for line in claims(answer, folder)]
    durably(out / "claims.jsonl", encoded("".join(f"{line}\n" for line in lines)))
    (out / "claims.jsonl.gz").unlink(missing_ok=True)  # an earlier answer's
    durably(out / "answer.md", encoded(markdown(answer, folder)))
    durably(out / "report.html", encoded(html(answer, folder)))
    return notes


def _names(answer: Answer) -> Iterator[str]:
    """The report's files, by their paths below OUT."""
    yield from ("answer.json", "summary.json", "failures.json", "claims.jsonl", "answer.md", "report.html")
    yield from answer.files
    for figure in answer.figures:
        yield from (f"figures/{figure.name}.png", f"figures/{figure.name}.svg")
    for table in answer.tables:
        yield from (f"tables/{table.name}.csv", f"tables/{table.name}.tex")


def _drop_old(folder: Path, names: Sequence[str], suffixes: Sequence[str]) -> None:
    """Remove the files of an earlier answer that this one does not write: they would be mistaken for a part of it."""
    for path in folder.iterdir():
        if path.suffix in suffixes and path.stem not in names and not path.is_dir():
            path.unlink()


def _draw(drawing: Drawing, path: Path) -> None:
    """Write PATH.png and PATH.svg."""
    from matplotlib import rc_context

    picture, text = io.BytesIO(), io.StringIO()
    drawing.savefig(picture, format="png", dpi=DPI)
    png = picture.getvalue()
    with rc_context({"svg.hashsalt": "mim4dd", "svg.fonttype": "none"}):  # text as text
        drawing.savefig(text, format="svg", metadata={"Date": None})
    durably(path.with_name(f"{path.name}.png"), png if _in_colour(drawing) else _of_palette(png))
    durably(path.with_name(f"{path.name}.svg"), encoded(_numbered(text.getvalue(), path.name)))


def _of_palette(png: bytes) -> bytes:
    """A PNG with 256 colours, which takes a third of the bytes."""
    from PIL import Image

    content = io.BytesIO()
    drawn = Image.open(io.BytesIO(png)).convert("RGB")
    drawn.quantize(256, dither=Image.Dither.NONE).save(content, "PNG", optimize=True, dpi=(DPI, DPI))
    return content.getvalue()


def _in_colour(drawing: Drawing) -> bool:
    """Whether it shows images in colour, whose pixels are data."""
    arrays = [image.get_array() for axes in drawing.axes for image in axes.images]
    return any(
        array is not None and array.dtype == "uint8" and array.ndim == 3 and (array[..., :1] != array[..., 1:]).any()
        for array in arrays
    )


def _numbered(svg: str, name: str) -> str:
    """An SVG whose ids are counted: matplotlib hashes positions, whose last bits differ between processes."""
    hashes = dict.fromkeys(re.findall(r'id="([himp][0-9a-f]{10,})"', svg))
    ids = {old: f"{name}-{number}" for number, old in enumerate(hashes)}
    return re.sub(r'(?<=[#"])[himp][0-9a-f]{10,}(?=[")])', lambda match: ids.get(match[0], match[0]), svg)


def spoken(answer: Answer) -> AnswerRecord:
    """What answer.json holds: the sentences, and the figures with their captions."""
    return {
        "short": [str(sentence) for sentence in answer.plain],
        "sentences": [str(sentence) for sentence in answer.sentences],
        "figures": [
            {"name": figure.name, "title": figure.title, "caption": figure.caption} for figure in answer.figures
        ],
    }


def claims(answer: Answer, folder: StudyFolder) -> list[dict[str, Any]]:
    """The lines of claims.jsonl: each claim with its first sentence, the seeds, the results version and the command."""
    stated: dict[str, str] = {}
    for sentence in (*answer.sentences, *answer.plain):
        for claim in sentence.claims:
            stated.setdefault(claim.id, sentence.text)
    source = {"results_version": folder.version, "command": folder.study["command"]}
    return [
        # Seeds identify the look at the data: an extension is decided on its new seeds alone.
        {**claim.json(), "seeds": list(claim.seeds or folder.seeds), "sentence": stated.get(claim.id, ""), **source}
        for claim in answer.claims
    ]


def facts(folder: StudyFolder) -> list[tuple[str, str]]:
    """The provenance of the numbers, as pairs of a name and a text."""
    study = folder.study
    measured = [row.measured for row in folder.rows.values()]
    nodes = sorted({m["node"] for m in measured if "node" in m})
    devices = sorted(
        {
            f"{m['device']}, {plural(int(m['threads']), 'thread')} per trial"
            for m in measured
            if {"device", "threads"} <= set(m)
        }
    )
    seconds = [m["seconds"] for m in measured if "seconds" in m]
    counts = ", ".join(f"{count} {status}" for status, count in folder.status().items())
    flat = folder.configuration
    values = ", ".join(f"{k.rpartition('.')[2]} {v}" for k, v in flat.items() if k.endswith(PROTOCOL))
    size = f", {images(int(flat['ipc']))}" if "ipc" in flat else ""
    data_notes = study.get("data_notes", ())
    return [
        ("command", study["command"]),
        ("data", "; ".join([f"{study['dataset']} (digest {study.get('data_digest', '')}){size}", *data_notes])),
        ("protocol", f"{study['protocol']}, results version {study['rules']}: {values}"),
        ("design", f"{study.get('design', '')}, seeds {study['seeds']}"),
        ("selection", f"choices read {study.get('selection', 'clean')} validation labels"),
        ("trials", f"{counts}; {sum(seconds):.0f} s in all, {max(seconds, default=0):.1f} s the longest"),
        ("machine", ", ".join(filter(None, [plural(len(nodes), "node"), "; ".join(devices)]))),
        (
            "code",
            f"commit {study.get('git_commit') or 'unknown'}; "
            + ", ".join(f"{name} {version}" for name, version in study.get("versions", {}).items()),
        ),
    ]


PROTOCOL = ("network.width", "iterations", "batch_real", "evaluation.epochs", "evaluation.networks")
NOTES, TERMS, SOURCE = "Notes", "Glossary", "Where this comes from"


def markdown(answer: Answer, folder: StudyFolder) -> str:
    """The answer as Markdown, figures by their relative paths."""
    title, detail = folder.study["title"], "\n".join(f"- {sentence}" for sentence in answer.sentences)
    top = [f"# {title}", folder.study["question"]]
    if folder.unfinished:
        top.append(f"**Not complete: {folder.unfinished}.**")
    if answer.plain:
        top += ["## In short", " ".join(map(str, answer.plain)), "## In detail"]
    figures = [
        (figure.title, [f"![{figure.title}](figures/{figure.name}.png)", figure.caption]) for figure in answer.figures
    ]
    tables = [(table.title, [_rows(table.filled), table.note]) for table in answer.tables]
    rest = [(NOTES, ["\n".join(f"- {note}" for note in answer.notes)])] if answer.notes else []
    rest.append((TERMS, ["\n".join(f"- **{term}**: {text}" for term, text in GLOSSARY)]))
    rest.append((SOURCE, ["\n".join(f"- {name}: {text}" for name, text in facts(folder))]))
    names = [name for name, _ in (*figures, *tables, *rest)]
    anchors = _anchors([title, "In short", "In detail", "Contents", *names])[-len(names) :]
    listed = [f"[{name}](#{anchor})" for name, anchor in zip(names, anchors, strict=True)]
    first, last = len(figures), len(figures) + len(tables)
    groups = {"Figures": listed[:first], "Tables": listed[first:last], "Then": listed[last:]}
    contents = [f"- {kind}: {' · '.join(links)}" for kind, links in groups.items() if links]
    contents.append("- Files: each figure in figures/ as PNG and SVG, each table in tables/ as CSV and LaTeX")
    parts = [*top, detail, "## Contents", "\n".join(contents)]
    for name, blocks in (*figures, *tables, *rest):
        parts += [f"## {name}", *blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(table: Table) -> str:
    lines = [list(map(of_markdown, row)) for row in (table.columns, ["---"] * len(table.columns), *table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _anchors(headings: Sequence[str]) -> list[str]:
    """The anchors of Markdown headings as GitHub and most renderers name them; repeated ones are numbered."""
    anchors: list[str] = []
    counts: dict[str, int] = {}
    for heading in headings:
        slug = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        anchors.append(f"{slug}-{counts[slug]}" if slug in counts else slug)
        counts[slug] = counts.get(slug, 0) + 1
    return anchors


def html(answer: Answer, folder: StudyFolder) -> str:
    """The answer as one HTML file with its figures inside."""
    from jinja2 import Environment
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    environment.tests["quantity"] = lambda cell: isinstance(cell, Quantity)
    template = environment.from_string(template_text("report.html"))
    pictures = folder.path / "figures"
    return template.render(
        css=Markup(template_text("report.css")),
        study=folder.study,
        answer=replace(answer, tables=tuple(table.filled for table in answer.tables)),
        images={figure.name: embedded(pictures / f"{figure.name}.png") for figure in answer.figures},
        drawn={figure.name for figure in answer.figures if (pictures / f"{figure.name}.svg").exists()},
        facts=facts(folder),
        glossary=GLOSSARY,
        unfinished=folder.unfinished,
        numeric=numeric,
        long=LONG,
    )


def template_text(name: str) -> str:
    """A template, or the style that all reports share."""
    return (files("studies.engine") / "templates" / name).read_text("utf-8")


def embedded(path: Path) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
