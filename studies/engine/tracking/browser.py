"""The views of a study that MLflow's web page opens with: what it varied as columns and axes, and ready charts.

Stored as the web page's own `share view` stores them (MLflow 3.17, not documented): tags on the experiment. A version
that does not know them shows its default view, and nothing is lost. The page loads 100 trials at a time.
"""

from __future__ import annotations

import json
from typing import Any

from mim4dd.methods import METHODS
from studies.engine.folder import StudyFolder
from studies.engine.tracking import varied
from studies.engine.tracking.mlflow_fields import parameter
from studies.engine.tracking.server import SQLITE, shown

PREFIX, ALL = "mlflow.sharedViewState.", "trials"
LOADED = 100
CHOSEN_BY, TEST, BALANCED = "validation_accuracy", "test_accuracy", "test_balanced_accuracy"
INTERIM = "by_iteration/validation_accuracy"
Chart = dict[str, Any]


def key(folder: StudyFolder, *, means: bool = False) -> str:
    """What a link calls a study's view: each trial, or means over seeds."""
    return f"{'means' if means else 'trials'}-{folder.identifier[:8]}"


def link(experiment: str, view: str, *, charts: bool = False) -> str:
    """Where a view is, below the server's address."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment}/runs?viewStateShareKey={view}&workflowType=machine_learning{mode}"


def where(uri: str, experiment: str, folder: StudyFolder) -> str:
    """How to look at a study's trials, in one or two lines; a fresh browser needs the whole link."""
    at = link(experiment, key(folder))
    if uri.startswith(SQLITE):
        return f"runs, curves and pictures: mlflow ui --backend-store-uri {uri}\nthen open http://127.0.0.1:5000/{at}"
    return f"runs, curves and pictures: {shown(uri).rstrip('/')}/{at}"


def score(folder: StudyFolder) -> str:
    """The accuracy of the charts, as in the answer: what choices read where knobs are searched, else the test's."""
    if folder.space:
        return CHOSEN_BY
    return BALANCED if len(folder.conditions) > 1 else TEST


def state(folder: StudyFolder, parent: str = "", *, means: bool = False) -> str:
    """A view's content. parent: the study's run, whose children are shown; "" for the trials of the whole experiment.

    Each trial, best first, or means over seeds. What the page does not load at once comes seed by seed, not best first:
    the first trials then stand for all settings.
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
    """The title and the charts of a study's own axes; texts have no mean, so means stand in bars."""
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
    """What the study varied, its seed, accuracies, failures, data; a narrow window shows the first."""
    knobs = [parameter(name) for name in folder.study.get("knobs") or {}]
    names = [*knobs, *(name for name in varied.texts(folder) if not knobs or name != varied.METHOD)]
    scores = dict.fromkeys((CHOSEN_BY, score(folder)))  # where knobs are searched, no test accuracy invites a choice
    others = ("validation_worst_class_recall", "decodable_information_fraction", "seconds")
    return [
        *(f"params.`{name}`" for name in names),
        "tags.`seed`",
        *(f"metrics.`{name}`" for name in scores),
        "tags.`failed_by`",
        "attributes.`Dataset`",
        *(f"metrics.`{name}`" for name in others),
        "tags.`role`",
        *(f"params.`{name}`" for name in varied.curve_axes(folder)),
    ]


def _curves(folder: StudyFolder) -> list[str]:
    """The histories that the study's methods log: a term is called as its method is registered."""
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
