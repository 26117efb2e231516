"""What the doctor finds, and the command that it prescribes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local.servers import binaries
from scripts.toolchain import debian, doctor
from scripts.toolchain.cache import CannotObtain

EVENTCTL = Path(sys.executable).with_name("eventctl")


def test_everything_that_the_platform_needs_is_looked_for() -> None:
    names = {finding.name for finding in doctor.examine()}
    servers = {"postgres", "redis-server", "rabbitmq-server", "etcd", "prometheus"}
    assert names >= {"python", "pulumi", "kubernetes", *servers, "disk"}


def test_what_is_missing_comes_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(program: str) -> Path:
        raise binaries.MissingProgram(program)

    monkeypatch.setattr(binaries, "find", missing)
    found = {finding.name: finding for finding in doctor.examine()}
    assert not found["rabbitmq-server"].ok
    assert "apt-get install -y --no-install-recommends rabbitmq-server" in found["rabbitmq-server"].remedy


def test_a_missing_engine_is_mended_by_the_doctor_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {finding.name: finding for finding in doctor.examine()}
    assert found["pulumi"].remedy.startswith("eventctl doctor --fix")
    assert "go is not on PATH" in found["pulumi"].remedy


def test_a_user_without_root_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotObtain, match=r"installing needs root\. Type: sudo apt-get update"):
        debian.install(["rabbitmq-server"], lambda _: None)


def test_a_program_outside_path_is_found_where_debian_puts_it() -> None:
    assert binaries.find("rabbitmq-server") == Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def test_the_findings_are_printed_for_scripts_too() -> None:
    done = subprocess.run([EVENTCTL, "doctor", "--json"], capture_output=True, text=True, check=False)
    findings = json.loads(done.stdout)
    assert {"name", "found", "remedy", "ok"} == set(findings[0])
    assert (done.returncode == 0) is all(finding["ok"] for finding in findings)
