"""The language host, asked over gRPC as the engine asks it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc

from scripts.toolchain.pulumi import VERSION


@pytest.fixture
def host() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.toolchain.language_host", "127.0.0.1:1"], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def engine(host: subprocess.Popen[str]) -> Iterator[language_pb2_grpc.LanguageRuntimeStub]:
    assert host.stdout is not None
    with grpc.insecure_channel(f"127.0.0.1:{host.stdout.readline().strip()}") as channel:
        yield language_pb2_grpc.LanguageRuntimeStub(channel)


def _project(folder: Path, **options: str) -> pb.ProgramInfo:
    held = struct_pb2.Struct()
    held.update(options)
    return pb.ProgramInfo(
        root_directory=str(folder), program_directory=str(folder), entry_point="program.py", options=held
    )


def test_it_says_what_it_is(engine: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path) -> None:
    assert engine.GetPluginInfo(empty_pb2.Empty()).version == VERSION
    about = engine.About(pb.AboutRequest(info=_project(tmp_path)))
    assert about.version == ".".join(map(str, sys.version_info[:3]))


def test_it_lists_the_packages_of_the_projects_environment(
    engine: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path
) -> None:
    (tmp_path / "venv").symlink_to(sys.prefix)
    request = pb.GetProgramDependenciesRequest(info=_project(tmp_path, virtualenv="venv"))
    assert "pulumi" in {found.name for found in engine.GetProgramDependencies(request).dependencies}


def test_an_environment_that_is_not_there_is_named_with_its_remedy(
    engine: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path
) -> None:
    answer = engine.Run(pb.RunRequest(info=_project(tmp_path, virtualenv="nowhere")))
    assert "virtualenv is 'nowhere'" in answer.error
    assert "make setup" in answer.error


def test_a_plugins_output_and_exit_code_reach_the_engine(
    engine: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path
) -> None:
    (tmp_path / "__main__.py").write_text("import sys\nprint('port 1')\nsys.exit(3)\n")
    request = pb.RunPluginRequest(
        info=_project(tmp_path), kind="resource", pwd=str(tmp_path), env=[f"PATH={os.environ['PATH']}"]
    )
    answers = list(engine.RunPlugin(request))
    assert answers[0].stdout == b"port 1\n"
    assert answers[-1].exitcode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quietly_when_the_engine_asks(host: subprocess.Popen[str], number: signal.Signals) -> None:
    assert host.stdout is not None
    host.stdout.readline()
    host.send_signal(number)
    assert host.wait(10) == 0
    assert host.stdout.read() == ""
