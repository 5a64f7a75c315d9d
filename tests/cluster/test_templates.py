"""The templates parse, fit the schemas that there are, name what to change, and say commands that exist."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studies.engine.folder import StudyFolder

HOUSE = Path(__file__).resolve().parents[2]
PLACE = HOUSE / "cluster" / "templates"
TEMPLATES = sorted(path.name for path in PLACE.iterdir())
LAUNCHERS = [name for name in TEMPLATES if name.startswith("ray-")]
KUBERNETES = [name for name in TEMPLATES if name.startswith("kuberay-")]
BIN = Path(sys.executable).parent
TOKEN = "(umask 077 && ray get-auth-token --generate >/dev/null)"


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


def groups_of(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The head's group and the workers'."""
    spec = cluster_of(name)
    (workers,) = spec["workerGroupSpecs"]
    return spec["headGroupSpec"], workers


def container_of(group: dict[str, Any]) -> dict[str, Any]:
    (found,) = group["template"]["spec"]["containers"]
    return dict(found)


def clean_environment(**more: str) -> dict[str, str]:
    """This process's, without what says how Ray is to be reached."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", **more}


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
        found = re.match(r"# {3,}(\S.*?)(?:  +\S|$)", line)
        if not found:
            break
        # A deeper line goes on with why.
        if line.startswith("#   ") and line[4] != " ":
            named.add(found[1])
    lines = text(name).splitlines()
    marked = {}
    for place, line in enumerate(lines):
        before, mark, what = line.partition("# CHANGE: ")
        if mark:
            # A Dockerfile has no comments behind an instruction: the mark stands above it.
            marked[what.strip()] = before.strip() or lines[place + 1]
    assert named == set(marked)
    assert all(marked.values())


def test_launcher_files_fit_the_schema_of_ray() -> None:
    import jsonschema
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    for name in LAUNCHERS:
        jsonschema.validate(loaded(name), schema)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launcher_files_are_what_ray_makes_of_them(name: str) -> None:
    """With its defaults filled in, as `ray up` does first."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    made = prepare_config(loaded(name))
    validate_config(made)
    assert made["setup_commands"] == loaded(name)["setup_commands"]
    at_once = sum(kind["min_workers"] for kind in made["available_node_types"].values())
    # A study refuses a cluster in which no node fits a trial.
    assert at_once >= 1
    assert f"--nodes {1 + at_once} " in text(name)


def test_on_aws_nothing_is_open_but_what_the_users_group_opens() -> None:
    # Ray opens ssh to the world in each group that it makes, whatever `security_group` says.
    kinds = loaded("ray-aws.yaml")["available_node_types"].values()
    assert all(kind["node_config"]["SecurityGroupIds"] for kind in kinds)


@pytest.mark.parametrize("name", KUBERNETES)
def test_pods_fit_the_schema_of_kubernetes(name: str) -> None:
    import kubernetes_validate

    for place, group in enumerate(groups_of(name)):
        metadata = {"name": f"pod{place}", **group["template"].get("metadata", {})}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": group["template"]["spec"]}
        kubernetes_validate.validate(pod, "1.31", strict=True)


@pytest.mark.parametrize("name", KUBERNETES)
def test_kuberay_files_have_what_its_reference_asks_for(name: str) -> None:
    whole, (head, workers) = loaded(name), groups_of(name)
    assert whole["apiVersion"] == "ray.io/v1"
    assert whole["kind"] == ("RayJob" if "rayjob" in name else "RayCluster")
    for group in (head, workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert group["template"]["spec"]["securityContext"]["runAsNonRoot"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert container_of(head)["image"] == container_of(workers)["image"]
    claims = [[v for v in g["template"]["spec"]["volumes"] if "persistentVolumeClaim" in v] for g in (head, workers)]
    assert [len(found) for found in claims] == [1, 0]
    if "rayjob" in name:
        assert whole["spec"]["entrypoint"].startswith("python studies/")
    else:
        assert f"--nodes {1 + workers['replicas']} " in text(name)


@pytest.mark.parametrize("name", KUBERNETES)
def test_probes_ask_what_listens_without_a_dashboard(name: str) -> None:
    head, workers = groups_of(name)
    ports = {"head": 6379, "workers": int(workers["rayStartParams"]["node-manager-port"])}
    for group, port in zip((head, workers), ports.values(), strict=True):
        for probe in ("readinessProbe", "livenessProbe"):
            assert container_of(group)[probe]["tcpSocket"]["port"] == port


@pytest.mark.parametrize("name", KUBERNETES)
def test_pods_are_given_the_token_as_a_file(name: str) -> None:
    for group in groups_of(name):
        container, (token, *_) = container_of(group), group["template"]["spec"]["volumes"]
        said = {one["name"]: one["value"] for one in container["env"]}
        (mount,) = (one["mountPath"] for one in container["volumeMounts"] if one["name"] == token["name"])
        assert said["RAY_AUTH_TOKEN_PATH"] == f"{mount}/auth_token"
        assert token["secret"] == {"secretName": "ray-token", "defaultMode": 0o400}
        if "rayjob" in name:
            # The operator talks to the cluster, so it must know the same secret.
            assert cluster_of(name)["authOptions"] == {"mode": "token", "secretName": token["secret"]["secretName"]}
    assert 'kubectl create secret generic ray-token --from-file=auth_token="$HOME/.ray/auth_token"' in text(name)


def test_the_shell_script_passes_its_linter() -> None:
    script = str(PLACE / "slurm.sh")
    subprocess.run(["bash", "-n", script], check=True)
    # 1091: the user's own environment; 2329: the trap calls it.
    words = [str(BIN / "shellcheck"), "-e", "SC1091,SC2329", script]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_dockerfile_passes_its_linter() -> None:
    # DL3008: Debian's versions change under an image that is built anew; pip's are the project's to say.
    words = [str(BIN / "hadolint"), "--ignore", "DL3008", str(PLACE / "Dockerfile")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_image_has_every_package_and_nothing_else_of_the_checkout() -> None:
    said = [line.split()[1:-1] for line in text("Dockerfile").splitlines() if line.startswith("COPY ")]
    copied = {word for words in said for word in words}
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {word.rstrip("*") for word in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert copied == packages | {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert all((HOUSE / word).exists() for word in copied)
    users = re.findall(r"^USER (.*)$", text("Dockerfile"), flags=re.MULTILINE)
    assert users == ["1000"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_nodes_and_driver_authenticate_and_nothing_secret_stands_in_a_template(name: str) -> None:
    said = re.sub(r"\{name: (\w+), value: \"?(\w+)\"?\}", r"\1=\2", text(name))
    for wanted in ("RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0", "OMP_WAIT_POLICY=passive"):
        assert wanted in said
    assert "disabled" not in said
    assert not re.search(r"[0-9a-f]{32}", said)
    if name != "Dockerfile":
        assert "RAY_AUTH_TOKEN_PATH" in said
        assert TOKEN in said
    # A dashboard that others reach is KubeRay's way in, and wants the token.
    if "0.0.0.0" in said:
        assert cluster_of(name)["authOptions"]["mode"] == "token"
    elif name != "Dockerfile":
        assert re.search(r"include-dashboard(=false|: \"false\")", said)


def test_the_command_for_a_token_makes_one_for_its_owner_alone(tmp_path: Path) -> None:
    assert TOKEN in (HOUSE / "docs" / "cluster.md").read_text(encoding="utf-8")
    subprocess.run(["bash", "-c", TOKEN], env=clean_environment(HOME=str(tmp_path)), check=True, capture_output=True)
    made = tmp_path / ".ray" / "auth_token"
    assert len(made.read_text()) >= 32
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def said_lines() -> Iterator[str]:
    """What a template or the cluster page says, one command a line."""
    for path in [*(PLACE / name for name in TEMPLATES), HOUSE / "docs" / "cluster.md"]:
        whole = re.sub(r"\\\n#? *", "", path.read_text(encoding="utf-8"))
        yield from (line.removeprefix("#").strip() for line in whole.splitlines())
    for name in LAUNCHERS:
        yield from loaded(name)["head_start_ray_commands"] + loaded(name)["worker_start_ray_commands"]


def commands(pattern: str) -> list[list[str]]:
    """The words behind what matches, without what is to be put in by a shell."""
    found = (re.findall(pattern + r"([^'`#|&;)]*)", line) for line in said_lines())
    return [[word.strip(",.") for word in shlex.split("".join(one))] for line in found for one in line]


def help_of(module: str, *words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert importlib.import_module(module).main([*words, "--help"]) == 0
    return out.getvalue()


def test_every_study_takes_the_flags_that_are_said() -> None:
    from studies.engine.options import parse_options

    said = commands(r"python (?=studies/)")
    (slurm,) = commands(r"STUDY=\(")
    assert 'python "${STUDY[@]}" --address "$IP:$PORT" --out "$OUT"' in text("slurm.sh")
    said.append([*slurm, "--address", "192.0.2.1:6379", "--out", "runs"])
    assert len(said) >= 6
    for script, *words in said:
        study = importlib.import_module(script.removesuffix(".py").replace("/", ".")).STUDY
        options = parse_options(study.description, script, study.flags, words)
        assert options.address, script


@pytest.mark.parametrize("module", ["cluster.preflight", "studies.engine.status", "studies.engine.tracking.__main__"])
def test_every_other_command_has_the_flags_that_are_said(module: str) -> None:
    said = commands("python -m " + re.escape(module.removesuffix(".__main__")) + r"(?= )")
    known = help_of(module)
    if "tracking" in module:
        assert {words[0] for words in said} == {"sync"}
        known += help_of(module, "sync")
    assert said
    flags = {word for words in said for word in words if word.startswith("--")}
    assert flags <= set(re.findall(r"--[a-z][a-z-]*", known))


def test_every_command_of_ray_has_the_flags_that_are_said() -> None:
    from ray.scripts.scripts import cli

    names = {"start", "stop", "up", "exec", "attach", "down", "rsync-down", "get-auth-token"}
    said = [words for words in commands(r"(?<![\w.-])ray (?=(?:" + "|".join(names) + r")\b)") if words]
    said += [["start", *(f"--{key}" for key in group["rayStartParams"])] for n in KUBERNETES for group in groups_of(n)]
    assert {words[0] for words in said} == names
    for verb, *words in said:
        known = {flag for one in cli.commands[verb].params for flag in (*one.opts, *one.secondary_opts)}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, (verb, words)


@pytest.mark.slow
@pytest.mark.ray
def test_the_slurm_script_runs_a_study_on_two_nodes_and_ends_them(tmp_path: Path) -> None:
    """With stand-ins for Slurm's commands, which run each step on this machine."""
    home, stand_ins = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    stand_ins.mkdir()
    (home / "mim4dd").symlink_to(HOUSE)
    (stand_ins / "srun").write_text('#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
    (stand_ins / "scontrol").write_text("#!/bin/bash\necho first\necho second\n")
    for one in stand_ins.iterdir():
        one.chmod(0o755)
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    script = text("slurm.sh")
    for before, after in (
        ("--seeds 0-4 --settings 64", "--quick --seeds 0 --settings 1"),
        ("PORT=6379", f"PORT={port}"),
        ('source "$HOME/mim4dd/.venv/bin/activate"', "true"),
    ):
        assert before in script
        script = script.replace(before, after)
    # Sockets have short names only.
    ray_files = tempfile.mkdtemp(prefix="r", dir="/tmp")
    slurm = {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "1"}
    environment = clean_environment(HOME=str(home), RAY_TMPDIR=ray_files, **slurm)
    environment["PATH"] = f"{stand_ins}:{environment['PATH']}"
    try:
        ran = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "2 nodes can run studies" in ran.stdout
        folder = StudyFolder.read(home / "runs" / "sensitivity")
        assert set(folder.rows) == set(folder.planned)
        assert folder.status() == {"ok": len(folder.planned)}
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=3)
    finally:
        shutil.rmtree(ray_files, ignore_errors=True)
