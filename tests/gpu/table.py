"""Prints what the check found, from the files of its stages: python tests/gpu/table.py OUT."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mim4dd.durable import read_json
from studies.answers.cost.published import PUBLISHED
from studies.answers.fidelity.published import published
from studies.engine.wording import clock, decimal, significant

Content = Mapping[str, Any]


def markdown(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]
    return "\n".join([f"### {title}", "", *lines])


def milliseconds(row: Content) -> str:
    """`12.3 (12.1 to 12.9)`, or why there is no time."""
    if "failed" in row:
        return str(row["failed"])
    low, middle, high = (significant(1000 * row[key]) for key in ("fastest_seconds", "seconds", "slowest_seconds"))
    return f"{middle} ({low} to {high})"


def mebibytes(row: Content) -> str:
    return f"{row['peak_bytes'] / 2**20:.0f}" if "peak_bytes" in row else ""


def stages(text: str) -> str:
    """How each stage of this run ended."""
    rows = [line.split("\t") for line in text.splitlines()]
    return markdown("Stages of this run", ["stage", "how it ended", "s"], rows)


def iterations(content: Content) -> str:
    """Each method's iteration beside DM's with as many images, here and as published."""
    default = [row for row in content["rows"] if row["precision"] == "default"]
    of_dm = {row["ipc"]: row.get("seconds") for row in default if row["base"] == "dm" and not row["term"]}
    plain = {(row["base"], row["ipc"]): row.get("seconds") for row in default if not row["term"]}
    posted = {each.base: each.seconds for each in PUBLISHED}
    rows = []
    for row in content["rows"]:
        base, ipc = row["base"], row["ipc"]
        alone = not row["term"] and row["precision"] == "default"
        known = alone and base != "dm" and ipc in posted[base] and not content["small"]
        rows.append(
            [
                f"{base}{' + mim' * row['term']}{'' if row['precision'] == 'default' else ', ' + row['precision']}",
                str(ipc),
                milliseconds(row),
                mebibytes(row),
                ratio(row.get("seconds"), of_dm.get(ipc)),
                told(posted[base][ipc] / posted["dm"][ipc]) if known else "",
                "" if alone else ratio(row.get("seconds"), plain.get((base, ipc))),
            ]
        )
    sizes = content["sizes"]
    title = (
        f"Iterations: 3x{sizes['side']}x{sizes['side']}, width {sizes['width']}, {sizes['batch']} real images a class"
    )
    columns = ["method", "images a class", "ms, median (range)", "peak MiB", "times DM", "published", "times alone"]
    return markdown(title, columns, rows)


def ratio(seconds: float | None, other: float | None) -> str:
    return told(seconds / other) if seconds and other else ""


def told(value: float) -> str:
    return significant(value, 2) if value == value else "out of memory"


def evaluations(content: Content) -> str:
    """Networks that train together as the library does, under its own limit and the chosen one, and the plain ways."""
    chosen, rows = content["chosen"].get("STEP_NUMBERS"), []
    grouped = {(row["workload"], row["value"]): row for row in content["rows"] if row["limit"] == "STEP_NUMBERS"}
    least = min((value for _, value in grouped), default=None)
    for images in dict.fromkeys(row["images"] for row in content["ways"]):
        ways = {row["way"]: row for row in content["ways"] if row["images"] == images}
        found = [grouped.get((f"epoch, {images} images", value), {}) for value in (least, chosen)]
        shown = [*found, *(ways.get(way, {}) for way in ("one by one", "vmap"))]
        rows.append([str(images), *(milliseconds(row) if row else "" for row in shown)])
    columns = ["images", f"grouped under {least}", f"grouped under {chosen}, as chosen", "one by one", "vmap"]
    return markdown(f"An epoch of {content['sizes']['networks']} networks, ms, median (range)", columns, rows)


def limits(content: Content) -> str:
    """Every workload under every value of a limit."""
    rows = []
    for limit, workload in dict.fromkeys((row["limit"], row["workload"]) for row in content["rows"]):
        own = [row for row in content["rows"] if (row["limit"], row["workload"]) == (limit, workload)]
        cells = [f"{row['value']}: {significant(1000 * row['seconds'])}" for row in own if "seconds" in row]
        cells += [f"{row['value']}: {row['failed']}" for row in own if "failed" in row]
        rows.append([limit, workload, ", ".join(cells), str(content["chosen"].get(limit, ""))])
    return markdown("Limits, ms of each value", ["limit", "workload", "value: ms", "chosen"], rows)


def schedules(content: Content) -> str:
    """Where each cell stands, beside the published accuracy; a star: from memory of the literature."""
    rows = []
    for entry in content["cells"]:
        number = None if content["small"] else published(entry["data"], entry["ipc"], entry["method"])
        row = entry.get("row", {})
        scored = row.get("report_only", {}).get("test_accuracy", [])
        test = 100 * statistics.fmean(scored) if scored else None
        rungs = entry.get("rungs") or row.get("result", {}).get("rungs") or []
        measured = row.get("measured", {})
        status = row.get("result", {}).get("reason") or entry.get("progress") or entry["status"]
        parts = [measured[key] for key in ("distil_seconds", "evaluate_seconds", "prepared_seconds") if key in measured]
        rows.append(
            [
                entry["data"],
                str(entry["ipc"]),
                entry["method"],
                "; ".join(filter(None, [status, measured.get("restarted")])),
                "" if test is None else decimal(test),
                f"{number.accuracy}{'' if number.certain else '*'}" if number else "",
                "" if test is None or number is None else decimal(test - number.accuracy, "+.1f"),
                ", ".join(f"{one['iteration']}: {100 * one['validation_accuracy']:.1f}" for one in rungs),
                " + ".join(map(clock, parts)),
            ]
        )
    columns = ["data", "images a class", "method", "status", "test %", "published %", "difference"]
    columns += ["validation % at iterations", "distilling + evaluating + preparing"]
    kind = "The smallest schedules" if content["small"] else "Published schedules"
    return markdown(f"{kind}, one set each, on packed subsets", columns, rows)


def main(out: Path) -> None:
    """Print a table of every file that is there."""
    tables, said = [stages((out / "stages.tsv").read_text("utf-8"))], list[str]()
    parts = {"timings.json": (iterations,), "limits.json": (evaluations, limits), "cells.json": (schedules,)}
    for name, prints in parts.items():
        content = read_json(out / name)
        if content is None:
            continue
        found = content["machine"]
        said.append(f"{name}: {found['processor']}, torch {found['torch']}{', smallest sizes' * content['small']}")
        tables += [one(content) for one in prints]
    print("\n\n".join([*tables, "\n".join(said)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
