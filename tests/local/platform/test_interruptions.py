"""Whatever interrupts `eventctl local up`, nothing is left behind or the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scripts.local.platform import lifecycle
from scripts.local.platform.layout import Layout
from scripts.local.processes import eventually
from tests.local.platform.support import EVENTCTL, PATIENCE, eventctl, mentioning, own_environment

pytestmark = pytest.mark.timeout(PATIENCE * 2)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in set(os.environ) - set(own_environment()):
        monkeypatch.delenv(key)


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    """A platform of the test's own, removed afterwards."""
    yield Layout(tmp_path / "state")
    eventctl("local", "down", "--state", str(tmp_path / "state"))


def _interrupted(layout: Layout, when: Callable[[], bool]) -> subprocess.CompletedProcess[str]:
    """Start `up`, press Ctrl-C as soon as ``when`` holds, and wait for its end."""
    process = subprocess.Popen(
        # Whatever started pytest in the background had it ignore the signal, and so whatever it starts.
        ["env", "--default-signal=INT", EVENTCTL, "local", "up", "--state", str(layout.folder)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert eventually(lambda: when() or process.poll() is not None, timeout=PATIENCE)
        # A terminal sends the signal to everything in the foreground: the command and the engine.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        # One that does not end would keep its platform from being removed.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.parametrize("moment", ["servers are starting", "the engine is at work"])
def test_ctrl_c_during_a_first_up_leaves_nothing_behind(layout: Layout, moment: str) -> None:
    def engine() -> bool:
        return bool(mentioning(str(layout.folder / "state"))) or (layout.folder / "state" / ".pulumi").exists()

    when = {"servers are starting": lambda: len(layout.running()) >= 3, "the engine is at work": engine}[moment]
    done = _interrupted(layout, when)
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
    assert not layout.folder.exists()
    assert eventually(lambda: not mentioning(str(layout.folder)), timeout=10), mentioning(str(layout.folder))


def test_a_part_that_died_is_shown_and_fails_the_status(layout: Layout) -> None:
    pids = _start_parts(layout)
    psutil.Process(pids["redis"]).kill()
    assert eventually(lambda: layout.running()["redis"].process() is None, timeout=10)
    done = eventctl("local", "status", "--json", "--state", str(layout.folder))
    assert done.returncode == 1
    assert '"ended"' in done.stdout


def _start_parts(layout: Layout) -> dict[str, int]:
    """Start the servers without the program."""
    with layout.locked():
        lifecycle.start_parts(layout, lambda _: None, lambda _: None)
    return {name: part.pid for name, part in layout.running().items()}
