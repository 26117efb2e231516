"""Where the engine comes from, and what is said when it cannot be had."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.toolchain import download, golang, pulumi
from scripts.toolchain.cache import CannotObtain
from scripts.toolchain.download import CannotDownload


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH with one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback with one file."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "tool").write_bytes(b"a tool")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _program(file: Path, prints: str) -> None:
    file.write_text(f"#!/bin/sh\necho {prints}\n")
    file.chmod(0o755)


def test_a_recent_engine_on_path_is_used(path: Path) -> None:
    _program(path / "pulumi", f"v{pulumi.VERSION}")
    _program(path / "pulumi-language-python", "1")
    found = pulumi.find()
    assert found is not None
    assert (found.version, found.origin) == (pulumi.VERSION, "PATH")


def test_an_engine_on_path_that_is_too_old_is_passed_over(path: Path) -> None:
    _program(path / "pulumi", "v3.100.0")
    _program(path / "pulumi-language-python", "1")
    assert pulumi.find() is None


def test_an_engine_without_its_python_host_is_passed_over(path: Path) -> None:
    _program(path / "pulumi", f"v{pulumi.VERSION}")
    assert pulumi.find() is None


def test_an_engine_that_cannot_be_had_says_everything_that_was_tried(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(url: str) -> str:
        raise CannotDownload(f"{url}: no route to host")

    monkeypatch.setattr(download, "text", refused)
    with pytest.raises(CannotObtain) as error:
        pulumi.obtain(lambda _: None)
    message = str(error.value)
    for version in (pulumi.VERSION, *pulumi.FALLBACKS):
        assert f"{version}: " in message
    assert "no route to host" in message
    assert "go is not on PATH" in message


def test_a_download_is_kept_when_its_checksum_is_the_published_one(served: str, tmp_path: Path) -> None:
    download.file(f"{served}/tool", hashlib.sha256(b"a tool").hexdigest(), tmp_path / "tool", lambda _: None)
    assert (tmp_path / "tool").read_bytes() == b"a tool"


def test_a_download_with_another_checksum_is_refused_and_removed(served: str, tmp_path: Path) -> None:
    with pytest.raises(CannotDownload, match="published is 00"):
        download.file(f"{served}/tool", "00", tmp_path / "tool", lambda _: None)
    assert not (tmp_path / "tool").exists()


def test_a_file_that_is_not_there_is_named(served: str, tmp_path: Path) -> None:
    with pytest.raises(CannotDownload, match="/nothing"):
        download.text(f"{served}/nothing")


@pytest.mark.parametrize("version", pulumi.FALLBACKS)
def test_a_fallback_is_built_against_the_sdk_of_its_own_version(version: str, tmp_path: Path) -> None:
    module = pulumi.sources(version, tmp_path)
    for part in ("pkg", "sdk"):
        found = golang.run(module, "list", "-m", "-f", "{{.Version}}", f"github.com/pulumi/pulumi/{part}/v3")
        assert found.strip() == f"v{version}"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text("module example\n\ngo 1.21\n")
    (folder / "main.go").write_text('package main\n\nfunc main() { println("ran") }\n')
    return folder


def test_a_build_reports_progress_in_packages(module: Path, tmp_path: Path) -> None:
    said: list[str] = []
    golang.build(module, "example", tmp_path / "program", "-s", said.append)
    assert (tmp_path / "program").stat().st_mode & 0o100
    assert said[0] == "program: fetching sources"
    assert any("compiling, 1 of " in line for line in said)


def test_a_build_that_fails_ends_with_the_compilers_words(module: Path, tmp_path: Path) -> None:
    (module / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(CannotObtain, match="undefined: nonsense"):
        golang.build(module, "example", tmp_path / "program", "-s", lambda _: None)
