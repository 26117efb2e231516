"""The CustomResourceDefinitions behind the charts that the platform installs, from their projects' own Go modules.

A chart cannot be fetched where only package registries are reachable, and a copy would age: `go mod download` gets the
pinned version, verified by Go's checksum database, and the YAML is read out of the module's zip. (The zip rather than
the unpacked folder: it is there even when the module asks for a newer Go than the one installed.)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from scripts.local.kubernetes.api import Api, Object
from scripts.toolchain import cache

DOWNLOAD_SECONDS = 300
PARALLEL = 8  # requests at a time; more only queue in the API server


class Unavailable(RuntimeError):
    """A module cannot be had; the message says which, why, and what follows."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a project keeps its definitions: ``folder`` of ``module`` at ``version``.

    ``kinds`` are the plurals that are used here; none means all. Each definition costs the API server memory.
    """

    module: str
    version: str
    folder: str
    kinds: tuple[str, ...] = ()

    def wants(self, definition: Object) -> bool:
        return not self.kinds or definition["spec"]["names"]["plural"] in self.kinds


SOURCES: Final[Mapping[str, Source]] = {
    "argo-rollouts": Source(
        "github.com/argoproj/argo-rollouts",
        "v1.8.3",
        "manifests/crds",
        ("rollouts", "analysistemplates", "analysisruns"),
    ),
    # Its releases are tagged v2 while its module path has no /v2, so Go knows it by commit only.
    "aws-load-balancer-controller": Source(
        "sigs.k8s.io/aws-load-balancer-controller", "v0.0.0-20221203001353-edeb4f1c1312", "config/crd/bases"
    ),
    "cert-manager": Source(
        "github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds", ("certificates", "issuers", "clusterissuers")
    ),
    "external-secrets": Source("github.com/external-secrets/external-secrets", "v1.3.2", "config/crds/bases"),
    "gateway-api": Source("sigs.k8s.io/gateway-api", "v1.6.3", "config/crd/standard"),
    "karpenter": Source("github.com/aws/karpenter-provider-aws", "v1.14.0", "pkg/apis/crds"),
    "keda": Source(
        "github.com/kedacore/keda/v2", "v2.20.2", "config/crd/bases", ("scaledobjects", "triggerauthentications")
    ),
    "kube-prometheus-stack": Source(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "example/prometheus-operator-crd",
        ("prometheusrules", "servicemonitors", "podmonitors"),
    ),
}


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a lone ``=`` is text, not YAML 1.1's "value" type."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def definitions(project: str) -> list[Object]:
    """The CustomResourceDefinitions of ``project`` that are used, a key of `SOURCES`. Raises Unavailable.

    They are read out of the module once and kept in the tool cache: the YAML of all takes seconds each time.
    """
    source = SOURCES[project]
    version = hashlib.sha256(repr(source).encode()).hexdigest()[:12]

    def keep(folder: Path) -> None:
        (folder / "definitions.json").write_text(json.dumps(_read(project, source)))

    kept = cache.obtain(f"definitions-{project}", version, keep, lambda _: None)
    found: list[Object] = json.loads((kept / "definitions.json").read_text())
    return found


def _read(project: str, source: Source) -> list[Object]:
    top = f"{source.module}@{source.version}/{source.folder}/"
    with zipfile.ZipFile(_download(project, source)) as module:
        names = [name for name in module.namelist() if name.startswith(top) and name.endswith(".yaml")]
        documents = [each for name in names for each in yaml.load_all(module.read(name), _Loader)]
    found = [
        each for each in documents if each and each.get("kind") == "CustomResourceDefinition" and source.wants(each)
    ]
    for each in found:
        for version in each["spec"]["versions"]:
            _forget_descriptions(version["schema"])
    if not found:
        raise Unavailable(f"{project}: no CustomResourceDefinition in {top}; the folder has moved in that version")
    return found


def _forget_descriptions(schema: Object) -> None:
    """Take the prose out: it is most of a definition, and the API server keeps all of it in memory several times."""
    for key, value in list(schema.items()):
        if key == "description" and isinstance(value, str):
            del schema[key]
        elif isinstance(value, dict):
            _forget_descriptions(value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    _forget_descriptions(item)


def install(kubeconfig: Path, projects: Iterable[str] = SOURCES) -> dict[str, list[str]]:
    """Apply the definitions of ``projects`` and wait until they are served; returns their names per project."""
    return asyncio.run(_install(kubeconfig, list(projects)))


async def _install(kubeconfig: Path, projects: list[str]) -> dict[str, list[str]]:
    loaded = await asyncio.gather(*(asyncio.to_thread(definitions, project) for project in projects))
    slots = asyncio.Semaphore(PARALLEL)
    async with Api(kubeconfig) as api:
        await asyncio.gather(*(apply(api, each, slots) for found in loaded for each in found))
    return {
        project: sorted(each["metadata"]["name"] for each in found)
        for project, found in zip(projects, loaded, strict=True)
    }


async def apply(api: Api, definition: Object, slots: asyncio.Semaphore | None = None) -> None:
    """Apply one definition and return when the API server serves it."""
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    path = f"{definitions}/{definition['metadata']['name']}"
    definition.pop("status", None)
    async with slots or asyncio.Semaphore():
        # Not server-side apply: keeping track of who owns each field of a schema costs it a second.
        if (found := await api.find(path)) is None:
            found = await api.create(definitions, definition)
        elif found["spec"]["versions"] != definition["spec"]["versions"]:
            found = await api.patch(path, {"spec": definition["spec"]})
        while not any(
            each["type"] == "Established" and each["status"] == "True"
            for each in found.get("status", {}).get("conditions") or []
        ):
            await asyncio.sleep(0.1)
            found = await api.get(path)


def _download(project: str, source: Source) -> Path:
    word = f"{source.module}@{source.version}"
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", word],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
            cwd="/",
        )
        answer = json.loads(done.stdout or "{}")
        why = answer.get("Error") or done.stderr.strip()
    except FileNotFoundError:
        answer, why = {}, "`go` is not on PATH; `make setup` says how to get it"
    except subprocess.TimeoutExpired:
        answer, why = {}, f"no answer within {DOWNLOAD_SECONDS} s"
    if not (archive := answer.get("Zip")) or not Path(archive).exists():
        raise Unavailable(
            f"the CustomResourceDefinitions of {project} cannot be had: {word}: {why}. Its custom resources will be "
            "refused by the API server until `go mod download` of that module works"
        )
    return Path(archive)
