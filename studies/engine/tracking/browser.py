"""Prepared views of a study for MLflow's web page: what the study varied as columns and axes, and charts.

They are tags of the experiment, in the undocumented format of the page's `share view` (MLflow 3.17). Other versions of
MLflow may ignore them and show their default view. The page loads 100 trials at a time.
"""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from mim4dd.methods import METHODS
from studies.engine.folder import StudyFolder
from studies.engine.tracking import varied
from studies.engine.tracking.database import database
from studies.engine.tracking.mlflow_fields import parameter
from studies.engine.tracking.server import shown

PREFIX, ALL = "mlflow.sharedViewState.", "trials"
LOADED = 100
CHOSEN_BY, TEST, BALANCED = "validation_accuracy", "test_accuracy", "test_balanced_accuracy"
INTERIM = "by_iteration/validation_accuracy"
Chart = dict[str, Any]


def key(folder: StudyFolder, *, means: bool = False) -> str:
    """The key of a study's view in links: each trial, or means over seeds."""
    return f"{'means' if means else 'trials'}-{folder.identifier[:8]}"


def link(experiment: str, view: str, *, charts: bool = False) -> str:
    """The link to a view, relative to the server's address. experiment: its id; charts: open the charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment}/runs?viewStateShareKey={view}&workflowType=machine_learning{mode}"


def where(uri: str, experiment: str, folder: StudyFolder) -> str:
    """How to open a study's trials, in one or two lines; a browser without history needs the whole link."""
    at = link(experiment, key(folder))
    if database(uri):
        return f"runs, curves and pictures: mlflow ui --backend-store-uri {quote(uri)}\nthen open http://127.0.0.1:5000/{at}"
    return f"runs, curves and pictures: {shown(uri).rstrip('/')}/{at}"


def score(folder: StudyFolder) -> str:
    """The accuracy metric of the charts: validation if knobs are searched, otherwise the answer's test accuracy."""
    if folder.space:
        return CHOSEN_BY
    return BALANCED if len(folder.conditions) > 1 else TEST


def state(folder: StudyFolder, parent: str = "", *, means: bool = False) -> str:
    """A view's content: each trial, best first, or means over seeds.

    parent: the id of the study's run, whose children are shown; "" for all trials of the experiment. A study with more
    trials than the page loads at once is sorted by seed, so that the first page represents all settings.
    """
    by_seed = means or len(folder.planned) > LOADED
    title, charts = _varied(folder, means)
    sections = {"varied": (title, charts), "curves": ("While distilling", [_line(name) for name in _curves(folder)])}
    groups = [{"mode": "param", "groupByData": name} for name in varied.texts(folder)]
    content = {
        "selectedColumns": _columns(folder),
        "columnOrder": _columns(folder),
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'" if parent else "tags.`mim4dd.trial` != ''",
        "orderByKey": "tags.`seed`" if by_seed else f"metrics.`{CHOSEN_BY}`",
        "orderByAsc": by_seed,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": {"aggregateFunction": "average", "groupByKeys": groups} if means else None,
        "isAccordionReordered": True,
        "compareRunSections": [
            {"uuid": uuid, "name": name, "display": True, "isReordered": False, "deleted": False}
            for uuid, (name, _) in sections.items()
        ],
        "compareRunCharts": [
            {"uuid": f"{uuid}-{number}", "metricSectionId": uuid, "runsCountToCompare": LOADED, "deleted": False}
            | {"isGenerated": False}
            | chart
            for uuid, (_, listed) in sections.items()
            for number, chart in enumerate(listed)
        ],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _varied(folder: StudyFolder, means: bool) -> tuple[str, list[Chart]]:
    """The title and charts of accuracy against what the study varied; bars for means, because texts have no mean."""
    accuracy, knobs, texts = score(folder), varied.knob_axes(folder), varied.texts(folder)
    charts = [_parallel(knobs, accuracy)] if knobs else []
    charts += [_scatter(name, accuracy) for name in varied.numbers(folder)]
    if not knobs:
        charts += [_bar(accuracy)] if means else [_scatter(name, accuracy) for name in texts]
        charts.append(_scatter("seconds", accuracy, "METRIC"))
    elif not means:
        charts += [_scatter(name, accuracy) for name in texts if name != varied.METHOD]
    title = " and ".join([*(["the knobs"] if knobs else ["method"]), *(factor.name for factor in folder.factors)])
    more = f" ({LOADED} trials at a time: Load more)" if len(folder.planned) > LOADED else ""
    return f"Accuracy {'against' if knobs else 'by'} {title}{more}", charts


def _columns(folder: StudyFolder) -> list[str]:
    """The columns: what the study varied, seed, accuracies, failures, data; a narrow window shows only the first."""
    knobs = [about.get("name") or parameter(key) for key, about in (folder.study.get("knobs") or {}).items()]
    names = [*knobs, *(name for name in varied.texts(folder) if not knobs or name != varied.METHOD)]
    # Without test accuracy if knobs are searched: no choice may read it.
    scores = dict.fromkeys((CHOSEN_BY, score(folder)))
    further = ("validation_worst_class_recall", "validation_usable_information_fraction", "seconds")
    return [
        *(f"params.`{name}`" for name in names),
        "tags.`seed`",
        *(f"metrics.`{name}`" for name in scores),
        "tags.`failed_by`",
        "attributes.`Dataset`",
        *(f"metrics.`{name}`" for name in further),
        "tags.`role`",
        *(f"params.`{name}`" for name in varied.curve_axes(folder)),
    ]


def _curves(folder: StudyFolder) -> list[str]:
    """The metrics that the study's methods log while distilling; a term has its method's registered name."""
    bases = list(dict.fromkeys(arm.base for arm in folder.arms))
    terms = [base for base in bases if base in METHODS and METHODS.build(base).iterations]
    terms += ["mim"] if any(arm.has_term for arm in folder.arms) else []
    return [INTERIM, *(f"{kind}/{term}" for kind in ("loss", "gradient_norm") for term in terms)]


def _parallel(parameters: list[str], metric: str) -> Chart:
    return {"type": "PARALLEL", "selectedParams": parameters, "selectedMetrics": [metric], "showAllRuns": True}


def _scatter(name: str, metric: str, kind: str = "PARAM") -> Chart:
    return {"type": "SCATTER", "xaxis": {"key": name, "type": kind}, "yaxis": {"key": metric, "type": "METRIC"}}


def _bar(metric: str) -> Chart:
    return {"type": "BAR", "metricKey": metric, "selectedMetricKeys": [metric]}


def _line(metric: str) -> Chart:
    return (
        {"type": "LINE", "metricKey": metric, "selectedMetricKeys": [metric], "xAxisKey": "step"}
        | {"xAxisScaleType": "linear", "scaleType": "linear", "lineSmoothness": 0, "useGlobalXaxisKey": True}
        | {"useGlobalLineSmoothing": True, "selectedXAxisMetricKey": "", "range": {}, "yAxisKey": "metric"}
        | {"yAxisExpressions": []}
    )
