"""Ray that starts slowly, answers slowly, or is lost: one line each, and what Ray itself says is in a file."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from socket import create_server
from typing import Any, NoReturn

import psutil
import pytest

from cluster import connect, preflight
from cluster.connect import Connection, resolve_address
from cluster.preflight import LOCAL_SECONDS, REMOTE_SECONDS, examine
from cluster.watch import Watch
from mim4dd.errors import InputError

HOUSE = Path(__file__).parents[2]


def test_a_slow_start_is_tried_again_and_then_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    tried = []

    def start(**given: Any) -> None:
        tried.append(given["address"])
        raise Exception("The current node timed out during startup. This could happen because ...")

    monkeypatch.setattr(ray, "init", start)
    with pytest.raises(InputError, match="did not start on this machine within 30 s, 2 times") as error:
        connect("local")
    assert "\n" not in str(error.value)
    assert tried == ["local", "local"]


def test_an_unknown_error_of_a_start_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def start(**given: Any) -> None:
        raise Exception("something else")

    monkeypatch.setattr(ray, "init", start)
    with pytest.raises(Exception, match="something else") as error:
        connect("local")
    assert type(error.value) is Exception


@pytest.mark.parametrize(
    ("address", "given", "expected"),
    [("local", None, LOCAL_SECONDS), ("10.0.0.1:6379", None, REMOTE_SECONDS), ("local", 7.0, 7.0)],
)
def test_a_node_has_as_long_as_is_given_and_here_longer_than_elsewhere(
    address: str, given: float | None, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    node = {"NodeID": "n", "Alive": True, "NodeManagerHostname": "h", "NodeManagerAddress": "a", "Resources": {}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])

    def probed(alive: Any, token: Any, data: Any, plugins: Any, seconds: float) -> Any:
        return (preflight._completed(node, None, seconds),)

    monkeypatch.setattr(preflight, "_probed", probed)
    report = examine(Connection(address, 1, 1.0, 0.0, ((1.0, 0.0),)), seconds=given)
    assert f"did not answer within {expected:g} s" in report.problems[0]
    assert "--preflight-limit" in report.problems[0]


def test_an_address_is_blamed_on_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    with pytest.raises(InputError, match=r"^RAY_ADDRESS must be"):
        resolve_address(None)
    with pytest.raises(InputError, match=r"^--address must be"):
        resolve_address("elsewhere")
    monkeypatch.setenv("RAY_ADDRESS", "[::1]:6379")
    assert resolve_address(None) == "[::1]:6379"
    assert resolve_address("head-1.cluster_x:6379") == "head-1.cluster_x:6379"


def told(raylet: psutil.Process | None, head: str, patience: float) -> tuple[str, float]:
    """What a watch tells, and after how many seconds; "" if nothing within five."""
    reasons: Queue[str] = Queue()

    def lost(reason: str) -> NoReturn:
        reasons.put(reason)
        while True:  # as a driver that becomes another program, it does not return
            time.sleep(60)

    began = time.monotonic()
    with Watch(raylet, head, patience, lost), suppress(Empty):
        return reasons.get(timeout=5), time.monotonic() - began
    return "", time.monotonic() - began


def test_a_raylet_that_ends_is_told() -> None:
    child = subprocess.Popen(["sleep", "60"])
    with create_server(("127.0.0.1", 0)) as head:
        process = psutil.Process(child.pid)
        child.kill()
        reason, _ = told(process, f"127.0.0.1:{head.getsockname()[1]}", 0.0)
    child.wait()
    assert reason == f"Ray was lost: its raylet on this machine (process {child.pid}) has ended"


@pytest.mark.slow
def test_a_head_that_is_gone_is_told_after_its_time() -> None:
    with create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
    reason, seconds = told(None, address, 2.0)
    assert reason == f"Ray was lost: its head (GCS) at {address} does not answer"
    assert seconds > 2


@pytest.mark.slow
def test_of_a_ray_that_lives_nothing_is_told() -> None:
    with create_server(("127.0.0.1", 0)) as head:
        assert told(psutil.Process(), f"127.0.0.1:{head.getsockname()[1]}", 0.0)[0] == ""


MESSAGES = """
import logging, os, sys
from pathlib import Path
import ray, ray.tune
import ray._private.worker as worker
from cluster import messages_to
with messages_to(Path("ray.log")):
    os.write(2, b"native\\n")
    logging.getLogger("ray.tune").error("of Tune")
    worker.print_to_stdstream({"lines": ["of the raylet"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    print("ours")
    print("ours too", file=sys.stderr)
os.write(2, b"afterwards\\n")
with messages_to(Path("none.log")):
    pass
raise ValueError("unknown")
"""


def test_what_ray_says_goes_to_the_file_and_what_we_say_to_the_terminal(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MESSAGES],
        cwd=tmp_path,
        env={"PYTHONPATH": str(HOUSE), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    kept = (tmp_path / "ray.log").read_text()
    for words in ("native", "of Tune", "(raylet) of the raylet"):
        assert words in kept
        assert words not in ended.stdout + ended.stderr
    assert ended.stdout == "ours\n"
    assert ended.stderr.startswith("ours too\nafterwards\n")
    assert ended.stderr.endswith("ValueError: unknown\n"), "an unknown error is not hidden"
    assert not (tmp_path / "none.log").exists()
