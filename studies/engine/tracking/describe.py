"""Descriptions, tags and parameters of MLflow's experiments and parent runs, and descriptions of trials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from studies.engine.arms import Setting
from studies.engine.folder import StudyFolder
from studies.engine.rows import Row
from studies.engine.tracking.browser import ALL, key, link
from studies.engine.tracking.mlflow_fields import axis, final, parameter, source

Study = Mapping[str, Any]
# Characters of an answer in a description; MLflow refuses descriptions of more than 8000.
LONGEST = 3500
ENDED = {"diverged": "diverged", "error": "ended with an error"}
LEFT_OUT = ("## Contents", "## Glossary")

COLUMNS = """
| name | what it is |
|---|---|
| `validation_accuracy` | mean over the evaluation networks; what every choice is made on |
| `validation_accuracy_std_networks` | standard deviation over those networks |
| `validation_worst_class_recall` | recall of the class that fares worst |
| `test_accuracy`, `test_balanced_accuracy`, `test_worst_class_recall` | for the report only: no choice reads them |
| `validation_usable_information_nats`, `..._fraction` | held-out log score of the evaluation networks; of H(Y) |
| `test_usable_information_nats`, `..._fraction` | the same on test images, for the report only |
| `label_agreement_nats`, `..._fraction` | a clean reference network's agreement with the set's labels; of H(Y) |
| `critic_information_nats`, `..._fraction` | the bound that the method's own critic reaches |
| `by_iteration/validation_accuracy` | accuracy while distilling (few networks), then the final one |
| `loss/...`, `gradient_norm/...` | each term of the objective and its pull on the pixels, before weighting |
| `failure/MODE` | what each failure detector measured; `tags.failed_by` names those that failed |
| `noisy_validation_accuracy`, `wrong_labels` | on validation labels with the same noise; the rate it realised |
| `seconds`, `cpu_seconds`, `peak_memory_bytes` | cost of distilling and evaluating |
| `others_cores`, `stolen_cores` | cores that other processes and other machines took meanwhile |
""".strip()


def name(study: Study) -> str:
    """The parent run's name: `sensitivity · digits · 3f2a9c01`."""
    return f"{study['study']} · {study.get('dataset', '?')} · {str(study['hash'])[:8]}"


def tags(study: Study) -> dict[str, str]:
    """The parent run's tags."""
    values = {key: study.get(key) for key in ("dataset", "protocol", "rules")} | source(study) | {"role": "study"}
    return {key: str(value) for key, value in values.items() if value}


def parameters(study: Study) -> dict[str, str]:
    """The parent run's parameters: what its trials share."""
    shared = {key: str(study.get(key) or "") for key in ("dataset", "protocol", "rules", "command", "hash")}
    return shared | {f"version.{key}": str(value) for key, value in (study.get("versions") or {}).items()}


def experiment(study: Study) -> str:
    """The description of the experiment."""
    return (
        f"**{study.get('title') or study['study']}**\n\n"
        "A run with children (press + before its name) is one study; its description has the question and the answer. "
        f"A child is one trial: a set distilled with one setting and seed, then evaluated.\n\n{COLUMNS}"
    )


def look(experiment: str) -> str:
    """Links to the prepared view of all studies of the experiment."""
    return (
        f"**Look:** [all trials by accuracy]({link(experiment, ALL)}) · "
        f"[charts: accuracy against what the latest study varied, losses]({link(experiment, ALL, charts=True)})\n\n"
    )


def look_at(folder: StudyFolder, experiment: str) -> str:
    """Links to the prepared views of one study."""
    trials, means = key(folder), key(folder, means=True)
    return (
        f"**Look:** [each trial]({link(experiment, trials)}) · "
        f"[charts of the trials]({link(experiment, trials, charts=True)}) · "
        f"[charts of means over seeds]({link(experiment, means, charts=True)})"
    )


def parent(folder: StudyFolder, experiment: str, answer: str = "") -> str:
    """The description of a study's run. experiment: its id; answer: the answer's text, "" before there is one."""
    study = folder.study
    knobs = study.get("knobs") or {}
    listed = "\n".join(
        f"- `{parameter(name)}` ({about.get('symbol') or parameter(name)}): {about.get('help') or ''}"
        + (", log scale" if about.get("log") else "")
        for name, about in knobs.items()
    )
    axes = ", ".join(f"`{axis(name, knobs)}`" for name in knobs)
    compare = (
        f"To compare by hand: select trials, press Compare, take the parameters {axes} and the metric "
        "`validation_accuracy`. The paper's default and the base alone (``tags.role = 'default'``, ``'base'``) are "
        "what to compare with, seed by seed; ``tags.setting`` groups the seeds of a setting."
    )
    parts = [
        answer,
        look_at(folder, experiment),
        f"**Question.** {study.get('question', '')}",
        f"`{study.get('command', '')}`",
    ]
    labels = [str(condition["label"]) for condition in study.get("conditions") or []]
    if len(labels) > 1:
        parts.append(
            f"**Conditions** (``tags.condition``): {', '.join(labels)}. Filter failures with ``tags.failed_by LIKE "
            "'%class_collapse%'``."
        )
    parts += [f"**Knobs**\n\n{listed}" if listed else "", compare if listed else "", COLUMNS]
    return "\n\n".join(part for part in parts if part)


def trial(row: Row, setting: Setting, folder: StudyFolder, failed_by: str) -> str:
    """The description of a trial: its arm and levels, accuracies, failure modes, and the study's command."""
    numbers, config = final(row), row.config
    images = "1 image" if config.get("ipc") == 1 else f"{config.get('ipc', '?')} images"
    wrong = numbers.get("wrong_labels")
    parts = [f"**{setting.arm.name}**", f"{config.get('dataset', '?')}, {images} per class"]
    parts += [f"{name}: {label}" for name, label in setting.levels.items()]
    parts += [f"{wrong:.1%} of the training labels wrong"] if wrong else []
    scores = [
        f"{part} accuracy {numbers[f'{part}_accuracy']:.1%}"
        for part in ("validation", "test")
        if f"{part}_accuracy" in numbers
    ]
    ended = "" if row.status == "ok" else f"It {ENDED[row.status]}: {row.reason or 'no reason given'}. "
    outcome = f"{', '.join(scores).capitalize()}." if scores else "It has no accuracy."
    return "\n\n".join(
        [
            f"{'; '.join(parts)}; seed {config.get('seed', '?')}.",
            f"{ended}{outcome} {_failures(row, failed_by)}".strip(),
            f"`{folder.study.get('command', '')}`",
        ]
    )


def _failures(row: Row, failed_by: str) -> str:
    """The failure modes in words, with the evidence of trial detectors; modes of groups have none in the row."""
    if not failed_by:
        return ""
    evidence = {mode: str(finding.get("evidence") or "") for mode, finding in row.failures.items()}
    modes = [mode for mode in failed_by.split(", ") if mode != "none"]
    named = [mode.replace("_", " ") + (f" ({evidence[mode]})" if evidence.get(mode) else "") for mode in modes]
    return f"Failure modes: {'; '.join(named)}." if named else "No failure mode."


def answer(folder: StudyFolder) -> str:
    """The text of answer.md without pictures (they are artifacts), contents and glossary; "" if there is none.

    Title and question are left out, because the page shows only the first lines; text beyond LONGEST is cut.
    """
    try:
        written = (folder.path / "answer.md").read_text(encoding="utf-8")
    except OSError:
        return ""
    omitted = (f"# {folder.study['title']}", folder.study["question"])
    sections = [part for part in re.split(r"(?m)^(?=## )", written) if not part.startswith(LEFT_OUT)]
    lines = "".join(sections).splitlines()
    text = "\n".join(line for line in lines if "![" not in line and line not in omitted).strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(chr(10))[0]}\n\n(the rest is in answer.md)"


def moment(created: str) -> float:
    """Seconds since 1970 of an ISO time; 0 if the text is none."""
    try:
        return datetime.fromisoformat(created).timestamp()
    except ValueError:
        return 0.0
