"""Faults, each done to a running study: what was finished, what was lost of it, whether the rows are as without it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from harness import FAULTY, HOUSE, PLANNED, Rows, Run, interrupt, raw_rows, retries, rows, run_of, signalled

sys.path.insert(0, str(HOUSE / "tests" / "cluster"))

from local_cluster import can, local_cluster

# What Ray, Tune and Python's traces put at the beginning of their lines.
FOREIGN = re.compile(r"Traceback|\(raylet\)|ERROR tune|^\[\d{4}-|^\d{4}-\d\d-\d\d |ray\.exceptions|\x1b")


@dataclass(frozen=True)
class Found:
    """What a fault has done.

    finished: trials with a row when it struck; lost: those of them whose row was gone or another afterwards; retried:
    workers lost under trials, as the rows count them; equal: whether all rows are those of an undisturbed run; told:
    what the user saw.
    """

    finished: int
    lost: int
    retried: int
    equal: bool
    told: str


@dataclass(frozen=True)
class Fault:
    """A fault: what it is, and how it is done."""

    name: str
    strike: Callable[[Path, Rows], Found]
    needs: str = ""


def judged(run: Run, before: Rows, wanted: Rows, told: str) -> Found:
    """What is left when the study has been finished, against what was there when the fault struck."""
    after = rows(run.out)
    lost = sum(after.get(trial) != row for trial, row in before.items())
    return Found(len(before), lost, retries(run.out), after == wanted, told)


def said(run: Run, words: str) -> str:
    """The line of the log that holds some words; none fails."""
    found = [line for line in run.log.splitlines() if words in line]
    assert found, f"nobody said '{words}':\n{run.log[-3000:]}"
    return found[-1].strip()


def driver_killed(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of the driver in the middle of trials that have checkpoints."""
    with run_of(folder) as run:
        run.start()
        run.busy_worker()
        interrupt(run)
        before = rows(run.out)
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, said(run, "have a row already"))


def driver_killed_ten_times(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of the driver at ten random moments between its start and its end, then a run to the end."""
    moments, finished, lost, killed = random.Random(0), 0, 0, 0
    with run_of(folder) as run:
        while killed < 10:
            before = rows(run.out) if run.lines() else {}
            run.start()
            if killed % 2:
                time.sleep(moments.uniform(0.5, 9))
            else:
                run.until(lambda: run.lines() > len(before))  # noqa: B023 - it is called here and now
                time.sleep(moments.uniform(0, 1))
            killed += 1
            interrupt(run)
            torn = (run.out / "rows.jsonl").read_bytes() if run.lines() else b""
            after = {} if not torn else rows(run.out)
            lost += sum(after.get(trial) != row for trial, row in before.items())
            finished += len(before)
        before = rows(run.out) if run.lines() else {}
        assert run.finish() == 0, run.log
        found = judged(run, before, wanted, f"killed {killed} times; {said(run, 'report:')[:7]} written at the end")
        return Found(found.finished, found.lost + lost, found.retried, found.equal, found.told)


def worker_killed(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of a worker in the middle of a trial."""
    with run_of(folder) as run:
        run.start()
        worker, *others = run.stopped_workers()
        before = rows(run.out)
        os.kill(worker["pid"], signal.SIGKILL)
        signalled(others, signal.SIGCONT)
        assert run.finish() == 0, run.log
        assert retries(run.out) == 1, run.log
        assert_quiet(run)
        return judged(run, before, wanted, said(run, "was lost ("))


def assert_quiet(run: Run) -> None:
    """The terminal has no line of Ray's or Tune's; what they say of a worker is in OUT/ray.log."""
    assert not [line for line in run.log.splitlines() if FOREIGN.search(line)], run.log
    if "was lost (" in run.log:
        assert (run.out / "ray.log").stat().st_size


def raylet_killed(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of the raylet of this machine, which starts the workers, in the middle of trials."""
    return ray_killed(folder, wanted, "raylet", "its raylet on this machine")


def head_killed(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of the GCS, the head of the cluster, in the middle of trials."""
    return ray_killed(folder, wanted, "gcs_server", "its head (GCS)")


def ray_killed(folder: Path, wanted: Rows, process: str, told: str) -> Found:
    """SIGKILL of a process that Ray cannot do without: one line, status 6, a report; the same command goes on."""
    with run_of(folder) as run:
        driver = run.start()
        run.busy_worker()
        before = rows(run.out)
        started = psutil.Process(driver.pid).children(recursive=True)
        next(child for child in started if child.name() == process).kill()
        assert run.finish(120) == 6, run.log
        assert "Not complete" in (run.out / "report.html").read_text()
        assert_quiet(run)
        line = said(run, told)
        assert ("ray.log" in line) == (run.out / "ray.log").exists(), "a file that is named is there"
        deadline = time.monotonic() + 60
        while left := [name for child in started if (name := running_name(child))]:
            assert time.monotonic() < deadline, f"processes of Ray are left: {left}"
            time.sleep(0.5)
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, line)


def running_name(process: psutil.Process) -> str:
    """The name of a process that runs, "" for one that has ended, whether or not its parent has noticed."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.name() if process.status() != psutil.STATUS_ZOMBIE else ""
    return ""


def worker_stopped(folder: Path, wanted: Rows) -> Found:
    """SIGSTOP of a worker, which then neither works nor dies."""
    with run_of(folder, "--silence-limit", "8") as run:
        run.start()
        _, *others = run.stopped_workers()
        before = rows(run.out)
        signalled(others, signal.SIGCONT)
        assert run.finish() == 0, run.log
        assert retries(run.out) == 1, run.log
        assert_quiet(run)
        return judged(run, before, wanted, said(run, "no heartbeat for"))


def node_killed(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of all that a node runs, of a cluster of two whose nodes do not have the checkout."""
    with local_cluster() as cluster, run_of(folder, "--address", cluster.address, env=cluster.env) as run:
        run.start()
        workers = run.stopped_workers(least=2)
        before = rows(run.out)
        cluster.kill_node(1)
        signalled(workers, signal.SIGCONT)
        assert run.finish() == 0, run.log
        assert retries(run.out) >= 1, run.log
        assert_quiet(run)
        return judged(run, before, wanted, said(run, "was lost ("))


def node_killed_across_namespaces(folder: Path, wanted: Rows) -> Found:
    """The same with nodes that have addresses of their own, across network namespaces."""
    with local_cluster(namespaces=True) as cluster:
        with run_of(folder, "--address", cluster.address, env=cluster.env, prefix=cluster.prefix()) as run:
            run.start()
            workers = run.stopped_workers(least=2)
            before = rows(run.out)
            cluster.kill_node(1)
            signalled(workers, signal.SIGCONT)
            assert run.finish() == 0, run.log
            assert retries(run.out) >= 1, run.log
            assert_quiet(run)
            return judged(run, before, wanted, said(run, "was lost ("))


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A tracking server in a process group of its own; it may have been killed when the block ends."""
    words = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/kept"]
    quiet = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with open(folder / "server.log", "ab") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log, env=quiet, start_new_session=True)
    try:
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < deadline, (folder / "server.log").read_text()
            time.sleep(0.3)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def tracking_server_killed(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of the MLflow server in the middle, its return after the study, `tracking sync`, twice."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    with run_of(folder) as run:
        run.words[run.words.index("--offline") :] = ["--tracking-uri", uri]
        with mlflow_server(folder, port) as server:
            run.start()
            run.busy_worker()
            before = rows(run.out)
            os.killpg(server.pid, signal.SIGKILL)
            assert run.finish() == 0, run.log
        warned = said(run, "MLflow does not take")
        with mlflow_server(folder, port):
            sync = [sys.executable, "-m", "studies.engine.tracking", "sync", str(run.out), "--tracking-uri", uri]
            sent = [subprocess.run(sync, capture_output=True, text=True, check=True).stdout for _ in range(2)]
            assert f"0 of {PLANNED} finished trials sent" in sent[1], sent
            assert children(uri) == sorted(rows(run.out))
        return judged(run, before, wanted, warned)


def sending_process_killed(folder: Path, wanted: Rows) -> Found:
    """SIGKILL of the process that sends to MLflow, in the middle: the study does not care, and MLflow is complete."""
    with run_of(folder) as run:
        uri = f"sqlite:///{folder}/mlflow.db"
        run.words[run.words.index("--offline") :] = ["--tracking-uri", uri]
        driver = run.start()
        run.busy_worker()
        before = rows(run.out)
        started = psutil.Process(driver.pid).children()
        (process,) = [one for one in started if "studies.engine.tracking.sending" in one.cmdline()]
        process.kill()
        assert run.finish() == 0, run.log
        assert_quiet(run)
        assert "did not reach MLflow" not in run.log
        assert children(uri) == sorted(rows(run.out))
        return judged(run, before, wanted, said(run, "the process that sends to MLflow has ended"))


def children(uri: str) -> list[str]:
    """The trials that MLflow has a finished run of, one for each run."""
    code = (
        "import sys; from mlflow import MlflowClient\n"
        "client = MlflowClient(sys.argv[1])\n"
        "runs = client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=1000)\n"
        "print(*[r.data.tags['mim4dd.trial'] for r in runs if 'mim4dd.trial' in r.data.tags])"
    )
    found = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, check=True)
    return sorted(found.stdout.split())


def disk_full(folder: Path, wanted: Rows) -> Found:
    """OUT on a small disk that fills up, and is then given room."""
    (folder / "out").mkdir()
    with mounted(["-t", "tmpfs", "-o", "size=4m", "none", str(folder / "out")], folder / "out"), run_of(folder) as run:
        run.start()
        run.busy_worker()
        filler = run.out / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        assert run.finish() == 1, run.log
        told, before = said(run, "cannot write to"), rows(run.out)
        filler.unlink()
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, told)


def disk_read_only(folder: Path, wanted: Rows) -> Found:
    """OUT becomes read-only in the middle, and is then repaired."""
    with run_of(folder) as run:
        run.start()
        run.busy_worker()
        here = str(run.out)
        with mounted(["--bind", here, here], run.out):
            subprocess.run(["mount", "-o", "remount,bind,ro", here], check=True)
            assert run.finish() == 1, run.log
        told, before = said(run, "cannot write to"), rows(run.out)
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, told)


@contextlib.contextmanager
def mounted(words: list[str], at: Path) -> Iterator[None]:
    """Something mounted for the block."""
    subprocess.run(["mount", *words], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def can_mount() -> bool:
    """Whether file systems may be mounted here."""
    return os.geteuid() == 0 and can(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"])


def faulty(folder: Path, fault: str, times: int) -> dict[str, str]:
    """The environment in which `faulty_study.py` goes wrong so often."""
    marks = folder / "marks"
    marks.mkdir()
    path = os.pathsep.join([str(FAULTY.parent), str(HOUSE)])
    return {"FAULT": fault, "FAULT_TIMES": str(times), "FAULT_MARKS": str(marks), "PYTHONPATH": path}


def trial_raises(folder: Path, wanted: Rows) -> Found:
    """A trial that raises the first time it is run: a row that says so, and the same command runs it alone."""
    with run_of(folder, script=FAULTY, env=faulty(folder, "raise", 1)) as run:
        assert run.finish() == 5, run.log
        assert status(run.out) == 5
        told = said(run, "a fault that was asked for")
        said(run, f"1 of {PLANNED} planned trials ended in an error")
        before = {trial: row for trial, row in rows(run.out).items() if row["result"]["status"] == "ok"}
        assert len(before) == PLANNED - 1
        assert run.finish() == 0, run.log
        assert status(run.out) == 0
        said(run, "1 that ended in an error will run again")
        # The later of its two rows stands.
        after = {row["trial"]: {k: v for k, v in row.items() if k != "measured"} for row in raw_rows(run.out)}
        assert len(raw_rows(run.out)) == PLANNED + 1
        lost = sum(after.get(trial) != row for trial, row in before.items())
        return Found(len(before), lost, retries(run.out), after == wanted, told)


def trial_hangs(folder: Path, wanted: Rows) -> Found:
    """A trial that hangs past its limit the first time it is run."""
    with run_of(folder, "--silence-limit", "8", script=FAULTY, env=faulty(folder, "hang", 1)) as run:
        assert run.finish() == 0, run.log
        assert retries(run.out) == 1, run.log
        assert_quiet(run)
        return judged(run, rows(run.out), wanted, said(run, "no heartbeat for"))


def trial_hangs_always(folder: Path, wanted: Rows) -> Found:
    """A trial that hangs each time: after four attempts a row that says so; the study ends, and a run repairs it."""
    env = faulty(folder, "hang", 4)
    with run_of(folder, "--silence-limit", "5", script=FAULTY, env=env) as run:
        assert run.finish() == 5, run.log
        told = said(run, "at last: no heartbeat")
        before = {trial: row for trial, row in rows(run.out).items() if row["result"]["status"] == "ok"}
        assert len(before) == PLANNED - 1
        assert run.finish() == 0, run.log
        after = {row["trial"]: {k: v for k, v in row.items() if k != "measured"} for row in raw_rows(run.out)}
        lost = sum(after.get(trial) != row for trial, row in before.items())
        return Found(len(before), lost, retries(run.out), after == wanted, told)


def every_trial_raises(folder: Path, wanted: Rows) -> Found:
    """Every trial raises the first time: a row for each, an answer that says so, and the same command runs them all."""
    with run_of(folder, script=FAULTY, env=faulty(folder, "raise all", PLANNED)) as run:
        assert run.finish() == 5, run.log
        assert status(run.out) == 5
        told = said(run, f"{PLANNED} of {PLANNED} planned trials ended in an error")
        assert "Traceback" not in run.log
        assert run.finish() == 0, run.log
        after = {row["trial"]: {k: v for k, v in row.items() if k != "measured"} for row in raw_rows(run.out)}
        return Found(0, 0, retries(run.out), after == wanted, told)


def status(out: Path) -> int:
    """The exit status of `python -m studies.engine.status OUT`."""
    words = [sys.executable, "-m", "studies.engine.status", str(out)]
    return subprocess.run(words, cwd=HOUSE, capture_output=True, check=False).returncode


def checkpoint_damaged(folder: Path, wanted: Rows) -> Found:
    """Bytes of a checkpoint change on the disk after the driver was killed."""
    with run_of(folder) as run:
        run.start()
        run.busy_worker()
        interrupt(run)
        before = rows(run.out)
        time.sleep(8)  # what the driver has left behind writes until Ray has ended it
        for path in (run.out / "checkpoints").glob("*.pt"):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0xFF
            path.write_bytes(data)
        assert run.finish() == 0, run.log
        told = {row["measured"].get("restarted") for row in raw_rows(run.out)} - {None}
        assert told == {"its checkpoint was damaged"}
        return judged(run, before, wanted, "nothing; the row says that its checkpoint was damaged")


def interrupted(folder: Path, wanted: Rows) -> Found:
    """Ctrl-C, then the same command."""
    with run_of(folder) as run:
        run.start()
        run.busy_worker()
        interrupt(run, signal.SIGINT)
        assert run.driver is not None
        assert run.driver.returncode == 130, run.log
        told, before = said(run, "run the same command again to continue"), rows(run.out)
        assert "Traceback" not in run.log
        assert "Not complete" in (run.out / "report.html").read_text()
        assert list((run.out / "checkpoints").glob("*.pt"))
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, told)


def preempted(folder: Path, wanted: Rows) -> Found:
    """SIGTERM of the driver, as a scheduler sends before it takes a machine, then the same command."""
    with run_of(folder) as run:
        run.start()
        run.busy_worker()
        interrupt(run, signal.SIGTERM)
        assert run.driver is not None
        assert run.driver.returncode == 143, run.log
        before = rows(run.out)
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, said(run, "run the same command again to continue"))


def row_torn(folder: Path, wanted: Rows) -> Found:
    """The last line of rows.jsonl is cut in its middle, as by a power cut."""
    with run_of(folder) as run:
        run.start()
        run.busy_worker()
        interrupt(run)
        path = run.out / "rows.jsonl"
        whole = path.read_bytes()
        last = whole[: whole.rfind(b"\n", 0, -1) + 1]
        path.write_bytes(whole[: (len(last) + len(whole)) // 2])
        before = {row["trial"]: {k: v for k, v in row.items() if k != "measured"} for row in lines_of(last)}
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, said(run, "unfinished line"))


def lines_of(text: bytes) -> list[dict[str, object]]:
    """Rows of a part of rows.jsonl."""
    import json

    return [json.loads(line) for line in text.splitlines()]


def second_driver(folder: Path, wanted: Rows) -> Found:
    """The same command while the first runs: refused, and the first does not notice."""
    with run_of(folder) as run:
        run.start()
        run.busy_worker()
        before = rows(run.out)
        again = subprocess.run(
            [sys.executable, str(run.script), *run.words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert again.returncode == 2
        assert again.stderr.count("\n") == 1, again.stderr
        assert run.finish() == 0, run.log
        return judged(run, before, wanted, again.stderr.strip())


MOUNT, DIVIDE = "mount", "namespaces"
FAULTS = (
    Fault("driver killed (SIGKILL)", driver_killed),
    Fault("driver killed at ten random moments", driver_killed_ten_times),
    Fault("Ctrl-C", interrupted),
    Fault("SIGTERM to the driver", preempted),
    Fault("worker killed (SIGKILL)", worker_killed),
    Fault("worker stopped (SIGSTOP)", worker_stopped),
    Fault("raylet killed (SIGKILL)", raylet_killed),
    Fault("GCS killed (SIGKILL)", head_killed),
    Fault("a whole node killed", node_killed),
    Fault("a whole node killed, across network namespaces", node_killed_across_namespaces, needs=DIVIDE),
    Fault("MLflow server killed, later back", tracking_server_killed),
    Fault("the process that sends to MLflow killed (SIGKILL)", sending_process_killed),
    Fault("disk full", disk_full, needs=MOUNT),
    Fault("storage read-only", disk_read_only, needs=MOUNT),
    Fault("a trial raises", trial_raises),
    Fault("every trial raises", every_trial_raises),
    Fault("a trial hangs once", trial_hangs),
    Fault("a trial hangs always", trial_hangs_always),
    Fault("a checkpoint damaged", checkpoint_damaged),
    Fault("the last row torn", row_torn),
    Fault("a second driver on the same OUT", second_driver),
)
