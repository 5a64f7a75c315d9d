"""Forms of a table besides Markdown and HTML: cells as text, tables/NAME.csv with numbers, tables/NAME.tex."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence

from studies.engine.answer import Cell, Quantity, Table
from studies.engine.units import UNITS

# A column with a text of more characters is wrapped.
LONG = 44
SYMBOLS = {
    **{"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''"},
    **{"–": "--", "—": "---", "…": r"\ldots{}", "’": "'", "“": "``", "”": "''", "é": r"\'e", "ö": r"\"o", "ü": r"\"u"},
    **{"×": r"$\times$", "·": r"$\cdot$", "±": r"$\pm$", "−": "$-$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$"},
    **{"²": "$^2$", "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "ε": r"$\varepsilon$"},
    **{"η": r"$\eta$", "κ": r"$\kappa$", "λ": r"$\lambda$", "μ": r"$\mu$", "ρ": r"$\rho$", "σ": r"$\sigma$"},
    **{"τ": r"$\tau$", "χ": r"$\chi$", "ω": r"$\omega$", "Δ": r"$\Delta$", "√": r"$\surd$", "µ": r"$\mu$"},
}


def shown(cell: Cell) -> str:
    """A cell as text: floats to four digits, a dash for None."""
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def of_markdown(cell: Cell) -> str:
    """A cell as text in a table of Markdown, whose columns a bar in it would part."""
    return shown(cell).replace("|", "\\|")


def numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers, to be set flush right."""
    return all(isinstance(row[column], int | float | Quantity | None) for row in table.rows)


def headed(table: Table, column: int) -> str:
    """A column's head with the unit of its quantities, `paired gain (points)`, `an iteration (geometric mean, s)`."""
    quantities = _quantities(table, column)
    unit = UNITS[quantities[0].unit if quantities else ""]
    return _noted(table.columns[column], unit.average, unit.label)


def _noted(name: str, *notes: str) -> str:
    """A name with those notes in brackets that it does not say itself."""
    missing = [note for note in notes if note and not re.search(rf"(?<!\w){re.escape(note)}(?!\w)", name)]
    return f"{name} ({', '.join(missing)})".strip() if missing else name


def _quantities(table: Table, column: int) -> list[Quantity]:
    return [cell for row in table.rows if isinstance(cell := row[column], Quantity)]


def csv_text(table: Table) -> str:
    """A table as CSV: a column of quantities becomes one column for each of PARTS that some row has.

    Units: those in the heads; decided is 1 or 0; a missing number is an empty cell.
    """
    columns: list[list[str]] = []
    for k in range(len(table.columns)):
        cells, head = [row[k] for row in table.rows], headed(table, k)
        quantities = _quantities(table, k)
        for part, read in PARTS.items() if quantities else ():
            values = [read(cell) if isinstance(cell, Quantity) else None for cell in cells]
            if part == "mean" or any(values if part == "decided" else (value is not None for value in values)):
                columns.append([f"{head} {part}", *map(_plain, values)])
        if not quantities:
            columns.append([head, *map(_plain, cells)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
    return text.getvalue()


PARTS: dict[str, Callable[[Quantity], Cell]] = {
    "mean": lambda quantity: quantity.numbers[0],
    "low": lambda quantity: quantity.numbers[1],
    "high": lambda quantity: quantity.numbers[2],
    "n": lambda quantity: quantity.n,
    "decided": lambda quantity: int(quantity.starred),
}


def _plain(cell: Cell) -> str:
    """A number to six digits, text as it is, nothing for None."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    return f"{cell + 0.0:.6g}" if isinstance(cell, float) else str(cell)


def latex(table: Table, command: str) -> str:
    """A table as a LaTeX tabular with booktabs, numbers flush right; command, title and note are comments."""
    table = table.filled
    kinds = "".join(_kind(table, k) for k in range(len(table.columns)))
    heads = [escaped(_unspelt(table, k)) for k in range(len(table.columns))]
    lines = [
        *(f"% {line}" for line in (command, table.title, table.note) for line in line.splitlines()),
        r"% Needs \usepackage{booktabs}; too wide for a page: \resizebox{\linewidth}{!}{...} of graphicx.",
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        _line(heads),
        r"\midrule",
        *(_line([typeset(cell) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _unspelt(table: Table, column: int) -> str:
    """A column's head; without the unit if its cells are written in others, as times are."""
    units = [UNITS[quantity.unit] for quantity in _quantities(table, column)]
    if any(unit.spelt or unit.sizes for unit in units):
        return _noted(table.columns[column], units[0].average)
    return headed(table, column)


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _kind(table: Table, column: int) -> str:
    if numeric(table, column):
        return "r"
    return "p{5cm}" if any(len(shown(row[column])) > LONG for row in table.rows) else "l"


def typeset(cell: Cell) -> str:
    """A cell in LaTeX: a quantity without its unit, which is in the head, and with its star as a superscript."""
    if not isinstance(cell, Quantity):
        return escaped(shown(cell))
    numbers = " ".join(filter(None, cell.written)) or "–"
    return escaped(numbers) + (r"$^{*}$" if cell.starred else "")


def escaped(text: str) -> str:
    """Text escaped for LaTeX: special characters, Greek letters, operators, and the signs of numbers."""
    # Only signs of numbers that begin a word or follow a bracket: 2021-11, 1e-05 and ranges keep the hyphen.
    parts = re.split(r"(?<![\w.])([-+])(?=\d)", text)
    return "".join(
        f"${part}$" if k % 2 else "".join(SYMBOLS.get(letter, letter) for letter in part)
        for k, part in enumerate(parts)
    )
