"""Tools are obtained once, whole or not at all, whoever asks and whatever interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local.processes import eventually
from scripts.toolchain import cache
from scripts.toolchain.cache import CannotObtain

OBTAIN = """
import sys, time
from pathlib import Path
from scripts.toolchain import cache
started, go_on, log = map(Path, sys.argv[1:])
def make(place):
    started.touch()
    while not go_on.exists():
        time.sleep(0.01)
    (place / "tool").write_text("made")
    with log.open("a") as out:
        out.write("made\\n")
print(cache.obtain("tool", "1", make, lambda message: print(message, flush=True)))
"""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _ask(tmp_path: Path) -> subprocess.Popen[str]:
    files = [str(tmp_path / name) for name in ("started", "go-on", "log")]
    return subprocess.Popen([sys.executable, "-c", OBTAIN, *files], stdout=subprocess.PIPE, text=True)


def test_two_processes_that_ask_at_once_obtain_a_tool_once(tmp_path: Path) -> None:
    first = _ask(tmp_path)
    assert eventually((tmp_path / "started").exists, timeout=20)
    second = _ask(tmp_path)
    assert second.stdout is not None
    assert "another process is obtaining tool 1" in second.stdout.readline()
    (tmp_path / "go-on").touch()
    assert first.wait(20) == 0
    assert second.wait(20) == 0
    assert (tmp_path / "log").read_text() == "made\n"
    assert (cache.folder("tool", "1") / "tool").read_text() == "made"


def test_a_process_killed_half_way_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    killed = _ask(tmp_path)
    assert eventually((tmp_path / "started").exists, timeout=20)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(20)
    assert not cache.folder("tool", "1").exists()
    (tmp_path / "go-on").touch()
    assert _ask(tmp_path).wait(20) == 0
    assert (cache.folder("tool", "1") / "tool").exists()


def test_a_tool_that_is_there_is_not_made_again() -> None:
    place = cache.obtain("tool", "1", lambda made: (made / "tool").touch(), print)
    assert cache.obtain("tool", "1", lambda _: pytest.fail("made again"), print) == place


def test_a_tool_that_cannot_be_made_leaves_no_trace_of_the_attempt() -> None:
    def fail(_: Path) -> None:
        raise CannotObtain("no")

    with pytest.raises(CannotObtain):
        cache.obtain("tool", "1", fail, print)
    assert [path.name for path in (cache.root() / "tool").iterdir()] == ["1.lock"]


def test_a_full_disk_is_named_with_what_is_needed() -> None:
    with pytest.raises(CannotObtain, match="obtaining tool 1 takes 9999999 GiB: free some space"):
        cache.obtain("tool", "1", lambda _: None, print, need_gib=9_999_999)
