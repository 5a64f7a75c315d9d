"""Fills README.md and docs/studies.md, findings.md, cost.md, glossary.md, answers.md and results/fidelity.md from
docs/source/: `make docs`.

A source is Markdown with `{{ claim("FOLDER", "ID") }}` where a number belongs, so nobody writes one by hand;
the numbers are the claims of docs/results, and the glossary is that of the reports.

    {{ claim("noise-digits", "mean/balanced/dm/clean") }}           86.7% [86.0, 87.5]
    {{ claim("noise-digits", "gain/" ~ strong ~ "/clean") }}        +1.1 points [+0.8, +1.5]
    {{ claim(...) | bare }}    the same without its unit; | star: and with * where a gain or a loss is decided
    {{ claim(...) | cost }}    what is lost, 53.7 points [47.8, 59.7]; | barecost; | only: the estimate; | p: Holm's
    {{ claim(...) | fine }}    to two digits, without a sign; | low, | high: an end of its interval alone
    {{ claim(...) | word }}    the decision; | says("the term gains"): the text, if it is what was decided
    {{ every("FOLDER", "gain/*", "undecided") }}    the text, if every claim that the pattern meets was decided so
    {{ each(("FOLDER", "OTHER"), "gain/*", "undecided") }}     the same of several folders
    {{ number("FOLDER", "gain/*") }}                how many claims it meets
    {{ published("mnist", 1, "dc") }}               a published accuracy, with * where it is from memory
    {{ lines("FOLDER") }}                           how many trials the folder has
    {{ sets("FOLDER") }}                            how many synthetic sets each of its cells has, in words up to twelve
    {{ short("FOLDER") }}                           its answer in short, as a quotation
    {{ version() }}                                 the results version of every folder's rows
    {{ cells() }}                                   rows of the `fidelity-*` folders' tables

A decision's words are those of `studies/engine/quoting.py`: a text that `says` or `every` passes has words of that one
decision alone.
Paragraphs and list items are wrapped anew after filling, so a source may break its lines anywhere.

`python docs/fill.py --check` changes nothing and fails where a document is not what its source gives.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import textwrap
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from mim4dd.protocol import RESULTS_VERSION
from studies.engine.quoting import Claim, decided, end, fine, p_value, printed, says, word
from studies.engine.reading import contents
from studies.engine.wording import clock
from studies.review.gathering import in_short

DOCS = Path(__file__).parent
RESULTS, SOURCES = DOCS / "results", DOCS / "source"
DOCUMENTS = {
    SOURCES / "README.md": DOCS.parent / "README.md",
    SOURCES / "studies.md": DOCS / "studies.md",
    SOURCES / "findings.md": DOCS / "findings.md",
    SOURCES / "cost.md": DOCS / "cost.md",
    SOURCES / "glossary.md": DOCS / "glossary.md",
    SOURCES / "answers.md": DOCS / "answers.md",
    SOURCES / "fidelity.md": RESULTS / "fidelity.md",
}
WIDTH = 130


@cache
def claims(folder: str) -> dict[str, Claim]:
    """The claims of a folder of docs/results by id."""
    return {
        record["id"]: record for record in map(json.loads, contents(RESULTS / folder / "claims.jsonl").splitlines())
    }


def claim(folder: str, id: str) -> Number:
    """A claim by its folder and id.

    Raises: KeyError, with the nearest ids, for an unknown id.
    """
    import difflib

    known = claims(folder)
    if id not in known:
        near = ", ".join(difflib.get_close_matches(id, known, n=3, cutoff=0.3))
        raise KeyError(f"{folder} claims no {id}; near it: {near}")
    return Number(known[id])


class Number(dict[str, Any]):
    """A claim that prints as its estimate with unit and interval."""

    def __str__(self) -> str:
        return printed(self, unit=True)


def matching(folder: str, pattern: str) -> list[Claim]:
    """The claims of a folder whose ids match the pattern.

    Raises: KeyError if there is none.
    """
    matches = [record for id, record in claims(folder).items() if fnmatchcase(id, pattern)]
    if not matches:
        raise KeyError(f"{folder} claims nothing like {pattern}")
    return matches


def every(folder: str, pattern: str, text: str) -> str:
    """The text, if its words express the decision of every claim whose id matches the pattern.

    Raises: KeyError if there is none; ValueError for words of another decision.
    """
    for record in matching(folder, pattern):
        says(record, text)
    return text


def each(folders: Sequence[str], pattern: str, text: str) -> str:
    """The text, if its words express the decision of every such claim of every folder.

    Raises: as `every`.
    """
    for folder in folders:
        every(folder, pattern, text)
    return text


def number(folder: str, pattern: str, decision: str = "*") -> int:
    """How many claims match the pattern; decision: count only those with it."""
    return sum(fnmatchcase(str(record.get("decision")), decision) for record in matching(folder, pattern))


def published(dataset: str, ipc: int, method: str) -> str:
    """A published accuracy in percent, with * where it is from memory of the literature."""
    from studies.answers.fidelity.published import PUBLISHED

    entry = PUBLISHED[dataset, ipc, method]
    return f"{entry.accuracy:.1f}{'' if entry.certain else '*'}"


FILTERS = {
    "bare": printed,
    "star": lambda record: printed(record) + ("*" if decided(record) else ""),
    "cost": lambda record: printed(record, unit=True, cost=True),
    "barecost": lambda record: printed(record, cost=True),
    "only": lambda record: printed(record, unit=True, interval=False),
    "p": p_value,
    "word": word,
    "fine": fine,
    "low": lambda record: end(record, "low"),
    "high": lambda record: end(record, "high"),
    "says": says,
}
FUNCTIONS = {"claim": claim, "every": every, "each": each, "number": number, "published": published}


def lines(folder: str) -> int:
    """The number of trials of a folder that have a row."""
    return len(contents(RESULTS / folder / "rows.jsonl").splitlines())


def sets(folder: str) -> str:
    """The number of seeds of a folder: `ten`, `20`."""
    names = "one two three four five six seven eight nine ten eleven twelve".split()
    count = len(json.loads((RESULTS / folder / "study.json").read_text(encoding="utf-8"))["seeds"])
    return names[count - 1] if count <= len(names) else str(count)


def version() -> str:
    """The results version of the rows of every folder.

    Raises: ValueError for a folder of another version than today's.
    """
    for path in sorted(RESULTS.glob("*/study.json")):
        if (found := json.loads(path.read_text(encoding="utf-8"))["rules"]) != RESULTS_VERSION:
            raise ValueError(f"{path.parent.name} is of results version {found}, not {RESULTS_VERSION}")
    return RESULTS_VERSION


def short(folder: str) -> str:
    """The answer of a folder in short, as a quotation."""
    text = in_short(RESULTS / folder / "answer.md")
    if not text:
        raise ValueError(f"{folder} has no answer in short")
    return f"> {text}"


# Data sets as a table names them, in its order.
NAMED = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "npz:cifar10_49k": "CIFAR-10"}
SHORTER = (
    ("augmentation: color crop cutout flip scale rotate for each batch", "DSA's"),
    ("augmentation: crop scale rotate for each image", "DC's"),
    ("augmentation: none", "no augmentation"),
)


def cells() -> str:
    """The lines of a table: every method of every `fidelity-*` folder, ordered by data, images per class and name."""
    found = []
    for folder in RESULTS.glob("fidelity-*"):
        study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        with (folder / "tables" / "fidelity.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.append((list(NAMED).index(study["dataset"]), study["configuration"]["ipc"], folder.name, row))
    return "\n".join(_cell(*one) for one in sorted(found, key=lambda one: (*one[:2], one[3]["method"], one[2])))


def _cell(data: int, ipc: int, folder: str, row: dict[str, str]) -> str:
    name, _, knobs = row["method"].partition(" (")
    strength = "".join(re.findall(r"equal strength|default|ρ=[\d.]+", knobs))
    published, mean = row.get("published (%) mean"), f"test accuracy of {row['method']}"
    ours = next(one for one in claims(folder).values() if one["what"] == mean)
    difference = claims(folder).get(ours["id"].replace("mean/test/", "published/"))
    evaluation = row["evaluation"]
    for long, brief in SHORTER:
        evaluation = evaluation.replace(long, brief)
    times = [clock(float(row[f"{stage}, a set (seconds) mean"] or 0)) for stage in ("distilling", "evaluating")]
    once = row.get("preparing, once (seconds) mean")
    entries = [
        list(NAMED.values())[data],
        str(ipc),
        f"{name} ({strength})" if strength else name,
        f"{float(published):.1f}{'*' if row['published, from memory'] else ''}" if published else "–",
        printed(ours, unit=True, interval=False).removesuffix("%"),
        "– (n = 1)" if ours["low"] is None else f"[{end(ours, 'low')}, {end(ours, 'high')}]".replace("%", ""),
        printed(difference, interval=False) if difference else "–",
        row["sets × networks"].partition(" of ")[0],
        row["schedule (published)"],
        evaluation,
        " + ".join(times) + (f" + {clock(float(once))} once" if once else ""),
        row["peak MiB"],
        f"[{folder.removeprefix('fidelity-')}]({folder}/answer.md)",
    ]
    return f"| {' | '.join(entries)} |"


# How a line begins: the spaces and the marker of a list's item, which its other lines stand below.
ITEM = r" *(?:[-*+]|\d+[.)]) +"


def wrapped(text: str) -> str:
    """Markdown with paragraphs and list items wrapped; code, tables, headings and pictures are unchanged.

    Raises: ValueError if a wrapped line would begin a list, a table or a heading.
    """

    def wrap(paragraph: str) -> str:
        indent = "> " if paragraph.startswith("> ") else " " * len(re.match(rf"(?:{ITEM})?", paragraph)[0])  # type: ignore[index]
        # Code, intervals and what stands before a plus are not broken: their spaces become \0 while wrapping.
        unbreakable = re.sub(
            r"`[^`]*`|\[[-+.\d]+, [-+.\d]+\]|\S+ \+(?= )",
            lambda match: match[0].replace(" ", "\0"),
            " ".join(paragraph.split()),
        )
        wrapped_lines = textwrap.wrap(
            unbreakable,
            WIDTH,
            initial_indent=paragraph[: len(paragraph) - len(paragraph.lstrip(" "))],
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        continued = [line.removeprefix(indent).strip() for line in wrapped_lines[1:]]
        if wrong := [line for line in continued if re.match(r"([-+*#>=|]+|\d+[.)])(\s|$)", line)]:
            raise ValueError(f"wrapped, this line means something else: {wrong[0]}")
        return "\n".join(wrapped_lines).replace("\0", " ")

    blocks = re.split(r"(^```.*?^```$|\n{2,})", text, flags=re.DOTALL | re.MULTILINE)
    for i, block in enumerate(blocks):
        if block.strip() and not block.lstrip("\n").startswith(("```", "|", "#", "!")):
            ends = re.fullmatch(r"(\n*)(.*?)(\n*)", block, flags=re.DOTALL)
            assert ends is not None
            inner = "\n".join(wrap(item) for item in re.split(rf"\n(?={ITEM})", ends[2]))
            blocks[i] = ends[1] + inner + ends[3]
    return "".join(blocks)


def filled(source: Path) -> str:
    """A document from its source.

    Raises: KeyError for an unknown claim; ValueError for a word of another decision; jinja2's UndefinedError for an
    unknown name.
    """
    from jinja2 import Environment, StrictUndefined

    from studies.engine.glossary import GLOSSARY

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    environment.filters |= FILTERS
    text = source.read_text(encoding="utf-8")
    own = {"lines": lines, "sets": sets, "short": short, "cells": cells, "version": version, "glossary": GLOSSARY}
    return wrapped(environment.from_string(text).render(**own, **FUNCTIONS))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where a document differs")
    check = parser.parse_args(arguments).check
    stale = [document for source, document in DOCUMENTS.items() if document.read_text("utf-8") != filled(source)]
    for document in stale:
        print(f"{document.name} {'is not what its source gives: run make docs' if check else 'is written anew'}")
        if not check:
            source = next(source for source, target in DOCUMENTS.items() if target == document)
            document.write_text(filled(source), encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
