"""Writes an answer into OUT: answer.md, report.html (self-contained), figures/*.png, tables/*.csv."""

from __future__ import annotations

import base64
import csv
from importlib.resources import files
from pathlib import Path

from studies.engine.answer import Answer, Cell, Table
from studies.engine.evidence import Evidence
from studies.engine.journal import write_json


def write_report(answer: Answer, evidence: Evidence) -> None:
    """Write every form of the answer into the study folder; what an earlier run wrote there is replaced."""
    out = evidence.out
    for folder in ("figures", "tables"):
        (out / folder).mkdir(exist_ok=True)
    for figure in answer.figures:
        figure.drawing.savefig(out / "figures" / f"{figure.name}.png", dpi=150)
    for table in answer.tables:
        with open(out / "tables" / f"{table.name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows(table.rows)
    write_json(out / "summary.json", answer.summary)
    write_json(out / "failures.json", answer.failed)
    (out / "answer.md").write_text(markdown(answer, evidence), encoding="utf-8")
    (out / "report.html").write_text(html(answer, evidence), encoding="utf-8")


def facts(evidence: Evidence) -> list[tuple[str, str]]:
    """Where the numbers come from: what a reader needs to believe or repeat them."""
    identity = evidence.identity
    measured = [row["measured"] for row in evidence.rows.values()]
    nodes = sorted({m["node"] for m in measured if "node" in m})
    devices = sorted({f"{m['device']}, {m['threads']} threads a trial" for m in measured if "device" in m})
    seconds = [m["seconds"] for m in measured]
    counts = ", ".join(f"{count} {status}" for status, count in evidence.status().items())
    flat = identity["configuration"]
    shown = ("network.width", "iterations", "batch_real", "evaluation.epochs", "evaluation.networks")
    values = ", ".join(f"{k.rpartition('.')[2]} {v}" for k, v in flat.items() if k.endswith(shown))
    return [
        ("command", identity["command"]),
        ("data", f"{identity['dataset']} (digest {identity.get('data_digest', '')}), {flat['ipc']} images a class"),
        ("protocol", f"{identity['protocol']}, rules {identity['rules']}: {values}"),
        ("design", f"{identity['design']}, seeds {identity['seeds']}"),
        ("selection", f"choices read {identity['selection']} validation labels"),
        ("trials", f"{counts}; {sum(seconds):.0f} s in all, {max(seconds, default=0):.1f} s the longest"),
        ("machine", f"{len(nodes)} node(s), {'; '.join(devices)}"),
        (
            "code",
            f"commit {identity['git_commit'] or 'unknown'}; "
            + ", ".join(f"{name} {version}" for name, version in identity["versions"].items()),
        ),
    ]


def markdown(answer: Answer, evidence: Evidence) -> str:
    """The answer as Markdown, figures by their relative paths."""
    parts = [f"# {evidence.identity['title']}", evidence.identity["question"]]
    if evidence.interrupted:
        parts.append(f"**Not complete: {evidence.interrupted}.**")
    parts.append("\n".join(f"- {sentence}" for sentence in answer.verdict))
    for figure in answer.figures:
        parts += [f"## {figure.title}", f"![{figure.title}](figures/{figure.name}.png)", figure.caption]
    for table in answer.tables:
        head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}"
        rows = "\n".join(f"| {' | '.join(shown(cell) for cell in row)} |" for row in table.rows)
        parts += [f"## {table.title}", f"{head}\n{rows}", table.note]
    parts += ["## Notes", "\n".join(f"- {note}" for note in answer.notes)] if answer.notes else []
    parts += ["## Where this comes from", "\n".join(f"- {name}: {text}" for name, text in facts(evidence))]
    return "\n\n".join(part for part in parts if part) + "\n"


def html(answer: Answer, evidence: Evidence) -> str:
    """The answer as one HTML file with its figures inside."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    template = environment.from_string((files("studies.engine") / "templates" / "report.html").read_text("utf-8"))
    images = {figure.name: embedded(evidence.out / "figures" / f"{figure.name}.png") for figure in answer.figures}
    return template.render(
        identity=evidence.identity,
        answer=answer,
        images=images,
        facts=facts(evidence),
        interrupted=evidence.interrupted,
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
