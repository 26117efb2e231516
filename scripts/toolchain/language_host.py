"""A Pulumi language host for Python, used where the official one is missing (no package registry has it).

The engine starts it as ``pulumi-language-python [options] <engine address>``, reads a port from its standard output and
then asks it, over gRPC, to run programs and policy packs. Both run in the virtual environment that the project names.
It starts no program of its own: ``pulumi-language-python-exec``, found on PATH, is Pulumi's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from scripts.toolchain.pulumi import VERSION

# What pulumi-language-python-exec exits with after it has shown the error itself.
_ALREADY_TOLD = 32
_LIST_PACKAGES = (
    "import importlib.metadata as m, json; print(json.dumps(sorted({(d.name, d.version) for d in m.distributions()})))"
)


class MisconfiguredEnvironment(RuntimeError):
    """The virtual environment that the project names cannot be used."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Python programs and plugins for the engine at ``engine``."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._children: set[subprocess.Popen[bytes]] = set()

    def Handshake(
        self, request: pb.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> pb.LanguageHandshakeResponse:
        self._engine = request.engine_address or self._engine
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPackages(
        self, request: pb.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> pb.GetRequiredPackagesResponse:
        # None in advance: the engine finds or attaches each provider when the program first uses it.
        return pb.GetRequiredPackagesResponse()

    def GetRequiredPlugins(
        self, request: pb.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> pb.GetRequiredPluginsResponse:
        return pb.GetRequiredPluginsResponse()

    def GetProgramDependencies(
        self, request: pb.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> pb.GetProgramDependenciesResponse:
        listed = subprocess.run(
            [_python(request.info), "-c", _LIST_PACKAGES], capture_output=True, text=True, check=True
        ).stdout
        return pb.GetProgramDependenciesResponse(
            dependencies=[pb.DependencyInfo(name=name, version=version) for name, version in json.loads(listed)]
        )

    def InstallDependencies(
        self, request: pb.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.InstallDependenciesResponse]:
        # `make setup` installs the lock file; an installer that does not know the lock would spoil it.
        yield pb.InstallDependenciesResponse(stdout=b"Dependencies come from requirements.lock: run `make setup`\n")

    def About(self, request: pb.AboutRequest, context: grpc.ServicerContext) -> pb.AboutResponse:
        python = _python(request.info)
        version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        return pb.AboutResponse(executable=python, version=version, metadata={"host": "event-platform"})

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.end_children()
        return empty_pb2.Empty()

    def Run(self, request: pb.RunRequest, context: grpc.ServicerContext) -> pb.RunResponse:
        """Run a program to its end; its output reaches the engine through the program's own log stream."""
        try:
            command = [_python(request.info), str(_program("pulumi-language-python-exec")), *self._flags(request)]
        except MisconfiguredEnvironment as error:
            return pb.RunResponse(error=str(error))
        env = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        code = self._wait(subprocess.Popen([*command, request.info.entry_point, *request.args], env=env))
        if code == _ALREADY_TOLD:
            return pb.RunResponse(bail=True)
        return pb.RunResponse(error=f"the program ended with exit code {code}" if code else "")

    def RunPlugin(self, request: pb.RunPluginRequest, context: grpc.ServicerContext) -> Iterator[pb.RunPluginResponse]:
        """Run a policy pack (kind ``analyzer``) or another plugin, streaming what it prints."""
        folder = request.info.program_directory
        python = _python(request.info)
        if request.kind == "analyzer":
            command, cwd = [python, "-u", "-m", "pulumi.policy", *request.args, folder], folder
        else:
            command, cwd = [python, "-u", folder, *request.args], request.pwd
        env = dict(entry.split("=", 1) for entry in request.env) or None
        child = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE)
        context.add_callback(child.terminate)
        self._children.add(child)
        assert child.stdout is not None
        for line in child.stdout:
            yield pb.RunPluginResponse(stdout=line)
        yield pb.RunPluginResponse(exitcode=self._wait(child))

    def end_children(self) -> None:
        """End every program that is still running."""
        for child in list(self._children):
            if child.poll() is None:
                child.terminate()

    def _flags(self, request: pb.RunRequest) -> list[str]:
        values = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "root_directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": str(request.dryRun).lower(),
            "parallel": str(request.parallel),
            "organization": request.organization,
        }
        return [part for name, value in values.items() if value for part in (f"--{name}", value)]

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        self._children.add(child)
        try:
            return child.wait()
        finally:
            self._children.discard(child)


def _python(info: pb.ProgramInfo) -> str:
    """The interpreter of the project's virtual environment, or ours when it names none."""
    name = dict(info.options).get("virtualenv")
    if not name:
        return sys.executable
    python = Path(info.root_directory, str(name), "bin", "python")
    if not python.exists():
        raise MisconfiguredEnvironment(
            f"runtime option virtualenv is {str(name)!r}, and {python} does not exist: run `make setup`"
        )
    return str(python)


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise MisconfiguredEnvironment(f"{name} is not on PATH: run `eventctl doctor --fix`")
    return Path(found)


def main() -> None:
    """Serve until the engine, which owns this process, asks it to end."""
    host = LanguageHost(sys.argv[-1])
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    # The engine ends its plugins with SIGINT, and Ctrl-C at the terminal arrives here too: both are an orderly end.
    # A pipe, because a handler that sets an Event while the same thread waits on it can block for ever.
    wake, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server.start()
    print(port, flush=True)
    os.read(wake, 1)
    host.end_children()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
