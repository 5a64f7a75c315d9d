"""Joining real clusters: what listens where, who is let in, what preflight sees, one line for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_cluster import LocalCluster, can_hide, local_cluster

from cluster.nodes import LIBRARIES, Node
from cluster.preflight import judge

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[LocalCluster]:
    with local_cluster() as cluster:
        yield cluster


def python(*words: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Ours in a process of its own, without what this one has set for Ray."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | env
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=clean, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.slow
def test_preflight_finds_two_equal_nodes_that_run_the_code_that_was_sent(
    two_nodes: LocalCluster, tmp_path: Path
) -> None:
    words = ["-m", "cluster.preflight", "--address", two_nodes.address, "--dataset", "digits", "--nodes", "2"]
    ended = python(*words, "--out", "out", env=two_nodes.env, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = {line[:12].strip(): line[12:].split() for line in ended.stdout.splitlines()}
    for name in ("ray", "torch", "numpy", "mim4dd code", "data set"):
        assert len(lines[name]) == 2, ended.stdout
        assert len(set(lines[name])) == 1, ended.stdout
    assert "\x1b" not in ended.stdout
    assert not list((tmp_path / "out").iterdir()), "preflight leaves nothing"


@pytest.mark.slow
@pytest.mark.skipif(not can_hide(), reason="processes may not have mounts of their own here")
def test_a_study_runs_where_the_nodes_do_not_have_the_checkout(two_nodes: LocalCluster, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "studies" / "sensitivity.py"
    words = [str(script), "--address", two_nodes.address, "--settings", "1", "--seeds", "0", "--protocol", "quick"]
    for assigned in ("iterations=10", "width=8", "evaluation.epochs=10", "evaluation.networks=2"):
        words += ["--set", assigned]
    words += ["--perturb", "symmetric:rate=0.4", "--offline", "--out", "out"]
    ended = python(*words, env=two_nodes.env, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert {row["result"]["status"] for row in rows} == {"ok"}
    assert "2 nodes" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"RAY_AUTH_MODE": "disabled"}, "requires an authentication token"),
        ({"RAY_AUTH_TOKEN": "a" * 64}, "has another authentication token"),
        ({"HOME": "/nonexistent"}, "requires an authentication token"),
    ],
)
def test_who_has_not_the_token_is_refused_in_one_line(
    two_nodes: LocalCluster, env: dict[str, str], told: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    ended = python("-m", "cluster.preflight", "--address", two_nodes.address, env=env, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert told in ended.stderr
    assert time.monotonic() - began < 15


@pytest.mark.slow
def test_a_trial_that_fits_no_node_and_too_few_nodes_are_problems(two_nodes: LocalCluster, tmp_path: Path) -> None:
    words = ["-m", "cluster.preflight", "--address", two_nodes.address, "--cpus-per-trial", "2", "--nodes", "3"]
    ended = python(*words, env=two_nodes.env, cwd=tmp_path)
    assert ended.returncode == 1
    assert "problem: a trial requests 2 CPUs" in ended.stdout
    assert "problem: the cluster has 2 nodes, fewer than --nodes 3" in ended.stdout


@pytest.mark.slow
def test_a_local_cluster_listens_on_the_loopback_alone_and_needs_no_home(tmp_path: Path) -> None:
    code = (
        "import os, psutil\n"
        "from cluster import connect, disconnect\n"
        "print(connect('local').sentence)\n"
        "import ray\n"
        "assert ray.get(ray.remote(lambda: 1).remote()) == 1\n"
        "ours = psutil.Process().children(recursive=True)\n"
        "found = {c.laddr.ip for p in ours for c in p.net_connections('inet') if c.status == 'LISTEN'}\n"
        "print(sorted(found), os.environ['RAY_AUTH_MODE'])\n"
        "disconnect()"
    )
    ended = python("-c", code, env={"HOME": "/nonexistent"}, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    listening = ended.stdout.splitlines()[-1]
    assert listening.endswith(" token")
    assert set(json.loads(listening.removesuffix(" token").replace("'", '"'))) <= {
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
    }
    assert "127.0.0.1" in listening


GROWTH = """
import sys
from cluster import connect, disconnect
connect(sys.argv[1])
import ray

def grown():
    import threading, psutil
    from mim4dd.memory import keep_freed_memory
    keep_freed_memory()
    def trial():
        held = [bytearray(100_000) for _ in range(200)]
    sizes = []
    for _ in range(12):
        thread = threading.Thread(target=trial)
        thread.start()
        thread.join()
        sizes.append(psutil.Process().memory_info().rss)
    return (sizes[-1] - sizes[0]) >> 20

print(ray.get(ray.remote(grown).remote()))
disconnect()
"""


def assert_no_growth(address: str, env: dict[str, str], folder: Path) -> None:
    """Twelve threads one after the other, each of which frees 20 MB, leave a worker as large as the first did."""
    ended = python("-c", GROWTH, address, env=env, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.splitlines()[-1]) < 20


@pytest.mark.slow
def test_a_worker_does_not_grow_from_trial_to_trial(tmp_path: Path) -> None:
    assert_no_growth("local", {}, tmp_path)


@pytest.mark.slow
def test_a_worker_of_a_cluster_does_not_grow_from_trial_to_trial(two_nodes: LocalCluster, tmp_path: Path) -> None:
    assert_no_growth(two_nodes.address, two_nodes.env, tmp_path)


def test_no_cluster_for_auto_is_said_at_once(tmp_path: Path) -> None:
    ended = python("-m", "cluster.preflight", "--address", "127.0.0.1:1", env={}, cwd=tmp_path)
    assert ended.returncode == 2
    assert "no Ray cluster answers at 127.0.0.1:1" in ended.stderr


HERE = Node("head", "10.0.0.1", "3.11.7", dict.fromkeys(LIBRARIES, "2.0"), "c0de", 8, 0, 64.0, "kind", "d1", True, 0.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"python": "3.12.1"}, "runs Python 3.12.1, the driver 3.11.7"),
        ({"versions": dict.fromkeys(LIBRARIES, "2.0") | {"torch": "1.9"}}, "has torch 1.9, the driver 2.0"),
        ({"versions": dict.fromkeys(LIBRARIES, "2.0") | {"scipy": ""}}, "has no scipy"),
        ({"code": "beef"}, "runs other mim4dd code"),
        ({"failure": "did not answer within 30 s"}, "did not answer"),
    ],
)
def test_what_is_a_problem(change: dict[str, object], told: str) -> None:
    from dataclasses import replace

    problems, _ = judge(HERE, [HERE, replace(HERE, host="other", **change)])  # type: ignore[arg-type]
    assert len(problems) == 1
    assert problems[0].startswith("node other")
    assert told in problems[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"python": "3.11.2", "versions": dict.fromkeys(LIBRARIES, "2.0+cpu")}, ""),
        ({"processor": "another"}, "one kind of processor"),
        ({"clock": -20.0}, "its clock is -20 s"),
        ({"memory": 3.0}, "3.0 GiB for 8 CPUs"),
        ({"data": "d2"}, "other images"),
    ],
)
def test_what_is_only_a_warning(change: dict[str, object], told: str) -> None:
    from dataclasses import replace

    problems, warnings = judge(HERE, [HERE, replace(HERE, host="other", **change)])  # type: ignore[arg-type]
    assert problems == []
    assert told in " ".join(warnings)
    assert bool(warnings) == bool(told)
