"""What stands on the experiment's and the parent run's pages: the question, the answer, and how to read the columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from studies.engine.tracking.browser import link
from studies.engine.tracking.mlflow_fields import axis, parameter, source

Study = Mapping[str, Any]
# MLflow refuses descriptions of more than 8000 characters.
LONGEST = 3500
LEFT_OUT = ("## Contents", "## Glossary")

COLUMNS = """
| name | what it is |
|---|---|
| `validation_accuracy` | mean over the evaluation networks; what every choice is made on |
| `validation_accuracy_std_networks` | standard deviation over those networks |
| `validation_worst_class_recall` | recall of the class that fares worst |
| `test_accuracy`, `test_worst_class_recall` | for the report only: nothing is chosen by them |
| `decodable_information_nats`, `..._fraction` | what a network decodes about real images; as a fraction of H(Y) |
| `critic_information_nats`, `..._fraction` | the bound that the method's own critic reaches |
| `by_iteration/validation_accuracy` | accuracy while distilling (few networks), then the final one |
| `loss/...`, `gradient_norm/...` | each term of the objective and its pull on the pixels, before weighting |
| `failure/MODE` | what each failure detector measured; `tags.failed_by` names those that failed |
| `noisy_validation_accuracy`, `wrong_labels` | on validation labels with the same noise; the rate it realised |
| `seconds`, `peak_memory_bytes` | cost of distilling and evaluating |
""".strip()


def name(study: Study) -> str:
    """The parent run's name: `sensitivity · digits · 3f2a9c01`."""
    return f"{study['study']} · {study.get('dataset', '?')} · {str(study['hash'])[:8]}"


def tags(study: Study) -> dict[str, str]:
    """The parent's tags."""
    found = {key: study.get(key) for key in ("dataset", "protocol", "rules")} | source(study) | {"role": "study"}
    return {key: str(value) for key, value in found.items() if value}


def parameters(study: Study) -> dict[str, str]:
    """The parent's parameters: what its trials share."""
    found = {key: str(study.get(key) or "") for key in ("dataset", "protocol", "rules", "command", "hash")}
    return found | {f"version.{key}": str(value) for key, value in (study.get("versions") or {}).items()}


def experiment(study: Study) -> str:
    """The description of the experiment."""
    return (
        f"**{study.get('title') or study['study']}**\n\n"
        "A run with children (press + before its name) is one study; its description has the question and the answer. "
        f"A child is one trial: a set distilled with one setting and seed, then evaluated.\n\n{COLUMNS}"
    )


def look(experiment: str) -> str:
    """Links to the prepared views."""
    return (
        f"**Look:** [all trials by accuracy]({link(experiment)}) · "
        f"[charts: accuracy against each knob, losses]({link(experiment, charts=True)})\n\n"
    )


def parent(study: Study, experiment: str, answer: str = "") -> str:
    """The description of a study's run; the answer comes first once there is one."""
    knobs = study.get("knobs") or {}
    listed = "\n".join(
        f"- `{parameter(key)}` ({about.get('symbol') or parameter(key)}): {about.get('help') or ''}"
        + (", log scale" if about.get("log") else "")
        for key, about in knobs.items()
    )
    axes = ", ".join(f"`{axis(key, knobs)}`" for key in knobs)
    compare = (
        f"To compare by hand: select trials, press Compare, take the parameters {axes} and the metric "
        "`validation_accuracy`. The paper's default and the base alone (``tags.role = 'default'``, ``'base'``) are "
        "what to compare with, seed by seed; ``tags.setting`` groups the seeds of a setting."
    )
    parts = [
        look(experiment).strip(),
        answer,
        f"**Question.** {study.get('question', '')}",
        f"`{study.get('command', '')}`",
    ]
    labels = [str(held["label"]) for held in study.get("conditions") or []]
    if len(labels) > 1:
        parts.append(
            f"**Conditions** (``tags.condition``): {', '.join(labels)}. Filter failures with ``tags.failed_by LIKE "
            "'%class_collapse%'``."
        )
    parts += [f"**Knobs**\n\n{listed}" if listed else "", compare if listed else "", COLUMNS]
    return "\n\n".join(part for part in parts if part)


def answer(out: Path) -> str:
    """The answer as the study wrote it, without pictures (they are among the artifacts), contents and glossary.

    It is cut when it is long.
    """
    try:
        written = (out / "answer.md").read_text(encoding="utf-8")
    except OSError:
        return ""
    sections = [one for one in re.split(r"(?m)^(?=## )", written) if not one.startswith(LEFT_OUT)]
    text = "\n".join(line for line in "".join(sections).splitlines() if "![" not in line).strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(chr(10))[0]}\n\n(the rest is in answer.md)"


def moment(created: str) -> float:
    """Seconds since 1970 of an ISO time; 0 when it is none."""
    try:
        return datetime.fromisoformat(created).timestamp()
    except ValueError:
        return 0.0
