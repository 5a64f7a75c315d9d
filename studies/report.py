"""MIM4DD under review: every item of the review, answered by the claims of finished studies, in one file.

    python studies/report.py runs/*                              # review.html and review.md in this folder
    python studies/report.py docs/results/* --answers docs/answers.md --out docs/report.html

Reads study.json, claims.jsonl, answer.md and figures/ of each folder; those without a study are passed over. An item
that no study decides says so, and which command would. Markdown stands beside the HTML file under the same name.
With --answers each item begins with an answer in words: paragraphs, with `code`, below a heading `## S1`, `## Q5`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mim4dd.durable import durably, encoded
from mim4dd.errors import InputError
from mim4dd_cli.command import exit_status
from mim4dd_cli.output import require_writable, storing
from mim4dd_cli.parsing import Parser
from studies.engine.wording import plural
from studies.review.gathering import Source
from studies.review.items import STUDIES
from studies.review.words import Answer, answers_in
from studies.review.writing import TITLE, Review, html, markdown

# An earlier report says what it is within its first characters.
FIRST = 1_000


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python studies/report.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="OUT", help="a finished study's folder")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="answers in words, by item")
    parser.add_argument("--out", type=Path, default=Path("review.html"), help="the HTML file (default: review.html)")

    def report() -> int:
        asked = parser.parse_args(arguments)
        if not asked.out.suffix.strip(".") or asked.out.is_dir():
            raise InputError(f"--out must name the HTML file, such as review.html, got {asked.out}")
        if asked.answers and asked.answers.resolve() == asked.out.with_suffix(".md").resolve():
            raise InputError(
                f"--out {asked.out} would replace {asked.answers}, the answers in words; give another name"
            )
        write(asked.folders, asked.out, answers_in(asked.answers) if asked.answers else {})
        return 0

    return exit_status(report)


def write(folders: list[Path], out: Path, answers: Mapping[str, Answer]) -> None:
    """Write the report of some folders. answers: in words, by item.

    Raises: InputError when none holds a study, one cannot be read, or the file cannot be written; StorageError when its
    disk fails meanwhile.
    """
    # A folder may be given twice, by a pattern and by its name.
    once = {path.resolve(): path for path in folders}
    if missing := [path for path in once.values() if not path.exists()]:
        raise InputError(f"{missing[0]} does not exist; give the folders of finished studies")
    found = [path for path in once.values() if (path / "study.json").is_file()]
    if not found:
        raise InputError(f"none of {plural(len(folders), 'folder')} holds a study.json, such as {folders[0]}")
    sources = [source for source in map(Source.read, found) if _is_asked(source)]
    if not sources:
        raise InputError(f"no item of the review asks for these studies, such as {found[0]}")
    if out.suffix == ".md":
        raise InputError(f"--out {out} is the HTML file; the text stands beside it as {out.name}: give another name")
    text = out.with_suffix(".md")
    for file in (out, text):
        _require_own(file, out)
    require_writable(f"--out {out}", out)
    review = Review.of(sources, answers)
    with storing(out):
        durably(out, encoded(html(review)))
        durably(text, encoded(markdown(review, out.parent)))
    statuses = [entry.status for entry in review.entries]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    print(f"{plural(len(statuses), 'item')} of the review by {plural(len(sources), 'study folder')}: {counts}")
    print(f"report: {out}   text: {text}")


def _is_asked(source: Source) -> bool:
    """Whether an item asks for this study, which it does not for one's own; a line on stderr says that one is left."""
    if source.study["study"] in STUDIES:
        return True
    print(f"{source.path} holds {source.study['study']}, which no item asks for: passed over", file=sys.stderr)
    return False


def _require_own(file: Path, out: Path) -> None:
    """Raises: InputError for a file that is there and is no earlier report, such as that of --answers."""
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as there:
            start = there.read(FIRST)
        if not start.startswith(f"# {TITLE}\n") and f"<title>{TITLE}" not in start:
            raise InputError(f"--out {out} would replace {file}, which is no earlier report; give another name")


if __name__ == "__main__":
    sys.exit(main())
