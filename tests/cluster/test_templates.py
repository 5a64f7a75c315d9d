"""The templates parse, fit the schemas that there are, name what to change, and say commands that exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parents[2]
PLACE = HOUSE / "cluster" / "templates"
TEMPLATES = sorted(path.name for path in PLACE.iterdir())
LAUNCHERS = [name for name in TEMPLATES if name.startswith("ray-")]
KUBERNETES = [name for name in TEMPLATES if name.startswith("kuberay-")]
BIN = Path(sys.executable).parent


def text(name: str) -> str:
    return (PLACE / name).read_text(encoding="utf-8")


def loaded(name: str) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(text(name))
    return found


def cluster_of(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = loaded(name)["spec"]
    found: dict[str, Any] = spec.get("rayClusterSpec", spec)
    return found


def test_there_is_one_for_every_kind_of_cluster() -> None:
    wanted = [
        "Dockerfile",
        "kuberay-raycluster.yaml",
        "kuberay-rayjob.yaml",
        "ray-aws.yaml",
        "ray-onprem.yaml",
        "slurm.sh",
    ]
    assert wanted == TEMPLATES


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_header_names_exactly_the_lines_to_change(name: str) -> None:
    _, _, rest = text(name).partition("Change the lines marked CHANGE:\n")
    named = set()
    for line in rest.splitlines():
        found = re.match(r"#   (\S.*?)  +\S", line)
        if not found:
            break
        named.add(found[1])
    marked = {found.strip() for found in re.findall(r"# CHANGE: (.*)$", text(name), flags=re.MULTILINE)}
    assert named == marked


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launcher_files_fit_the_schema_of_ray(name: str) -> None:
    import jsonschema
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(loaded(name), schema)


@pytest.mark.parametrize("name", KUBERNETES)
def test_pods_fit_the_schema_of_kubernetes(name: str) -> None:
    import kubernetes_validate

    spec = cluster_of(name)
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for place, group in enumerate(groups):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod{place}"}, **group["template"]}
        kubernetes_validate.validate(pod, "1.31", strict=True)


@pytest.mark.parametrize("name", KUBERNETES)
def test_kuberay_files_have_what_its_reference_asks_for(name: str) -> None:
    whole, spec = loaded(name), cluster_of(name)
    assert whole["apiVersion"] == "ray.io/v1"
    assert whole["kind"] == ("RayJob" if "rayjob" in name else "RayCluster")
    head, (workers,) = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert all(isinstance(value, str) for value in head["rayStartParams"].values())
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    images = {group["template"]["spec"]["containers"][0]["image"] for group in (head, workers)}
    assert len(images) == 1
    if "rayjob" in name:
        assert whole["spec"]["entrypoint"].startswith("python studies/")


def test_the_shell_script_passes_its_linter() -> None:
    script = PLACE / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    # 1091: the user's own environment; 2317: the trap calls it.
    ran = subprocess.run(
        [BIN / "shellcheck", "-e", "SC1091,SC2317,SC2329", script], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


def test_the_dockerfile_passes_its_linter() -> None:
    # DL3008: Debian's versions change under an image that is built anew; pip's are the project's to say.
    words = [BIN / "hadolint", "--ignore", "DL3008", PLACE / "Dockerfile"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("name", TEMPLATES)
def test_nodes_and_driver_authenticate_and_nothing_secret_stands_in_a_template(name: str) -> None:
    assert "RAY_AUTH_MODE" in text(name)
    assert "disabled" not in text(name)
    assert not re.search(r"[0-9a-f]{32}", text(name))
    if name != "Dockerfile":
        assert "get-auth-token --generate" in text(name)


def flags_of(words: list[str]) -> set[str]:
    """The flags that a command of ours has, from its --help."""
    shown = subprocess.run([sys.executable, *words, "--help"], cwd=HOUSE, capture_output=True, text=True, check=True)
    return set(re.findall(r"--[a-z][a-z-]*", shown.stdout))


def commands() -> list[tuple[str, tuple[str, ...]]]:
    """Every command of ours that a template or the cluster page says, without what is to be put in."""
    found = set()
    for path in [*(PLACE / name for name in TEMPLATES), HOUSE / "docs" / "cluster.md"]:
        for line in path.read_text(encoding="utf-8").splitlines():
            for said in re.findall(r"python ((?:studies/\w+\.py|-m [\w.]+)[^'`#|&;)]*)", line):
                words = [word.strip(",.") for word in shlex.split(said)]
                script = words[:2] if words[0] == "-m" else words[:1]
                if script[-1].startswith(("studies", "cluster")):
                    found.add((" ".join(script), tuple(word for word in words if word.startswith("--"))))
    return sorted(found)


def test_every_command_exists_with_every_flag() -> None:
    said = commands()
    assert len({script for script, _ in said}) >= 3
    known = {script: flags_of(script.split()) for script, _ in said}
    for script, flags in said:
        assert set(flags) <= known[script], script
