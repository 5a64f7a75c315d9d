"""Writes an answer into OUT: answer.md, report.html (self-contained), figures/*.png, tables/*.csv, claims.jsonl."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from studies.engine.answer import Answer, Cell, Table, images, plural
from studies.engine.durable import durably, finite, write_json
from studies.engine.folder import StudyFolder


def write_report(answer: Answer, folder: StudyFolder) -> None:
    """Write every form of the answer into the study folder; what an earlier run wrote there is replaced."""
    out = folder.path
    for name in ("figures", "tables"):
        (out / name).mkdir(exist_ok=True)
    _drop_others(out / "figures", [f"{figure.name}.png" for figure in answer.figures])
    _drop_others(out / "tables", [f"{table.name}.csv" for table in answer.tables])
    for figure in answer.figures:
        if figure.drawing is not None:
            figure.drawing.savefig(out / "figures" / f"{figure.name}.png", dpi=150)
    there = tuple(figure for figure in answer.figures if (out / "figures" / f"{figure.name}.png").exists())
    answer = replace(answer, figures=there)
    for table in answer.tables:
        with open(out / "tables" / f"{table.name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows(table.rows)
    write_json(out / "summary.json", answer.summary)
    write_json(out / "failures.json", answer.failed)
    lines = [json.dumps(finite(line), ensure_ascii=False, allow_nan=False) for line in claims(answer, folder)]
    durably(out / "claims.jsonl", "".join(f"{line}\n" for line in lines).encode())
    (out / "answer.md").write_text(markdown(answer, folder), encoding="utf-8")
    (out / "report.html").write_text(html(answer, folder), encoding="utf-8")


def _drop_others(folder: Path, names: Sequence[str]) -> None:
    """Remove what an earlier answer drew and this one does not: it would be taken for a part of it."""
    for path in folder.iterdir():
        if path.suffix in (".png", ".csv") and path.name not in names:
            path.unlink()


def claims(answer: Answer, folder: StudyFolder) -> list[dict[str, Any]]:
    """Every number of the answer with the first sentence that states it, and with what repeats it."""
    stated: dict[str, str] = {}
    for sentence in answer.sentences:
        for claim in sentence.claims:
            stated.setdefault(claim.id, sentence.text)
    # The seeds are the look: more of them are a study of their own, with decisions of its own.
    source = {"seeds": list(folder.seeds), "results_version": folder.version, "command": folder.study["command"]}
    return [{**claim.json(), "sentence": stated.get(claim.id, ""), **source} for claim in answer.claims]


def facts(folder: StudyFolder) -> list[tuple[str, str]]:
    """Where the numbers come from: what a reader needs to believe or repeat them."""
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
    ipc = images(int(flat["ipc"])) if "ipc" in flat else "images per class unknown"
    shown = ("network.width", "iterations", "batch_real", "evaluation.epochs", "evaluation.networks")
    values = ", ".join(f"{k.rpartition('.')[2]} {v}" for k, v in flat.items() if k.endswith(shown))
    return [
        ("command", study["command"]),
        ("data", f"{study['dataset']} (digest {study.get('data_digest', '')}), {ipc}"),
        ("protocol", f"{study['protocol']}, results version {study['rules']}: {values}"),
        ("design", f"{study.get('design', '')}, seeds {study['seeds']}"),
        ("selection", f"choices read {study.get('selection', 'clean')} validation labels"),
        ("trials", f"{counts}; {sum(seconds):.0f} s in all, {max(seconds, default=0):.1f} s the longest"),
        ("machine", f"{plural(len(nodes), 'node')}, {'; '.join(devices)}"),
        (
            "code",
            f"commit {study.get('git_commit') or 'unknown'}; "
            + ", ".join(f"{name} {version}" for name, version in study.get("versions", {}).items()),
        ),
    ]


def markdown(answer: Answer, folder: StudyFolder) -> str:
    """The answer as Markdown, figures by their relative paths."""
    parts = [f"# {folder.study['title']}", folder.study["question"]]
    if folder.unfinished:
        parts.append(f"**Not complete: {folder.unfinished}.**")
    parts.append("\n".join(f"- {sentence}" for sentence in answer.sentences))
    for figure in answer.figures:
        parts += [f"## {figure.title}", f"![{figure.title}](figures/{figure.name}.png)", figure.caption]
    for table in answer.tables:
        head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}"
        rows = "\n".join(f"| {' | '.join(shown(cell) for cell in row)} |" for row in table.rows)
        parts += [f"## {table.title}", f"{head}\n{rows}", table.note]
    parts += ["## Notes", "\n".join(f"- {note}" for note in answer.notes)] if answer.notes else []
    parts += ["## Where this comes from", "\n".join(f"- {name}: {text}" for name, text in facts(folder))]
    return "\n\n".join(part for part in parts if part) + "\n"


def html(answer: Answer, folder: StudyFolder) -> str:
    """The answer as one HTML file with its figures inside."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    template = environment.from_string((files("studies.engine") / "templates" / "report.html").read_text("utf-8"))
    images = {figure.name: embedded(folder.path / "figures" / f"{figure.name}.png") for figure in answer.figures}
    return template.render(
        study=folder.study,
        answer=answer,
        images=images,
        facts=facts(folder),
        unfinished=folder.unfinished,
        numeric=numeric,
    )


def shown(cell: Cell) -> str:
    """A cell as text: floats to four digits, nothing for None."""
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers, to be set flush right."""
    return all(isinstance(row[column], int | float | None) for row in table.rows)


def embedded(path: Path) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
