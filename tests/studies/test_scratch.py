"""What Tune writes is removed: by its driver, or by the next one if it was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from studies.engine.tuning.scratch import PREFIX, scratch_folder

CODE = """
import sys, time
from studies.engine.tuning.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "trials").mkdir()
    print(folder, flush=True)
    time.sleep(300)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_removed_after_use(place: Path) -> None:
    with pytest.raises(ConnectionError), scratch_folder() as folder:  # noqa: PT012
        (folder / "trials").mkdir()
        raise ConnectionError
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_driver_left_is_removed_and_what_is_used_is_not(place: Path) -> None:
    (place / f"{PREFIX}justmade").mkdir()
    (place / f"{PREFIX}file").write_text("no folder")
    (place / "other").mkdir()
    (place / "other" / "in-use").touch()
    with subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        left = Path(driver.stdout.readline().strip())
        with scratch_folder() as first:
            assert first.parent == left.parent == place
            assert (left / "trials").is_dir()
        driver.kill()
    with scratch_folder() as first, scratch_folder() as second:
        assert not left.exists()
        assert first.is_dir()
        assert second.is_dir()
    assert {path.name for path in place.iterdir()} == {f"{PREFIX}justmade", f"{PREFIX}file", "other"}
