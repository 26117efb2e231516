"""Typesense: what people search in. Its collections and synonyms are a document (components/search_schema.py).

It refuses two nodes, of which neither is a majority. A node keeps the index in memory and its log on an encrypted disk;
nodes agree by Raft, so three survive the loss of one. Nothing is kept that booking does not have: an index can be
filled again. Nobody but the set-up job has the administrator's key; who searches has a key for searching, who fills
the index one for filling it, each known to Typesense a whole rotation before it is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import secretsmanager

from components import application_alarms, setup_job
from components.application import Application, ApplicationArgs, Volume
from components.application_alarms import ApplicationAlarmsArgs
from components.application_pod import Probes
from components.context import Context
from components.own_database import Setting
from components.reach import Surroundings
from components.search_schema import COLLECTIONS, schema
from components.secret_environment import SecretEnvironment
from components.secrets import Secrets
from components.setup_job import SetupJob, SetupJobArgs
from components.severity import Severity

# Typesense documentation, "Server configuration" and "High availability".
_API, _PEERING = 8108, 8107
_NODES = range(1, 8, 2)
_DATA, _CONFIGURATION = "/data", "/etc/typesense"
# Any user but root: the server's own files are readable for everybody.
_USER = 10001
# It reads the index from its disk into memory before it answers.
_START_SECONDS = 600
_USES = {"reading": "Searches events", "writing": "Fills the index of events"}


def nodes(name: str, count: int) -> str:
    """The file in which each node finds all of them: host, port of peering, port of the API."""
    return ",".join(f"{name}-{number}.{name}-peers:{_PEERING}:{_API}" for number in range(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchArgs:
    """``callers`` are the labels of pods that search or fill the index; ``gib`` is the size of each node's disk."""

    image: str
    replicas: int
    cpu: str
    memory: str
    gib: int
    storage_class: pulumi.Input[str]
    callers: Sequence[Mapping[str, str]]
    setting: Setting
    configure: bool
    command: Sequence[str]

    def __post_init__(self) -> None:
        if self.replicas not in _NODES:
            raise ValueError(
                f"replicas is {self.replicas}; nodes decide by majority, so an even number survives no more than one "
                f"fewer: choose from {', '.join(map(str, _NODES))}"
            )
        if self.gib < 1:
            raise ValueError(f"gib is {self.gib}; each node keeps its log and snapshots on a disk: 1 or more")


class Search(pulumi.ComponentResource):
    """Typesense with its disks, its keys, its schema and its alarms."""

    application: Application
    administrator: secretsmanager.Secret
    keys: dict[str, secretsmanager.Secret]
    """``reading`` and ``writing``, each {key, next, previous, url}."""

    def __init__(
        self,
        name: str,
        args: SearchArgs,
        *,
        secrets: Secrets,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:search:Search", name, None, opts)
        self._name, self._args = name, args
        child = pulumi.ResourceOptions(parent=self)
        self.administrator = secrets.key(f"{name}-administrator", about="Typesense's administrator: the set-up job")
        self.keys = {
            use: secrets.key(f"{name}-{use}", about=about, url=f"http://{name}:{_API}") for use, about in _USES.items()
        }
        self.application = Application(name, self._application(), opts=child)
        if args.configure:
            SetupJob(
                f"{name}-schema",
                self._schema(),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.application.running]),
            )
        application_alarms.make(
            name,
            ApplicationAlarmsArgs(
                service=name,
                cluster_name=args.setting.cluster_name,
                namespace=args.setting.namespace,
                least=args.replicas,
                severity=Severity.PAGE,
                runbook="search_unavailable",
            ),
            context=context,
            opts=child,
        )
        self.register_outputs({})

    def _application(self) -> ApplicationArgs:
        args = self._args
        return ApplicationArgs(
            image=args.image,
            namespace=args.setting.namespace,
            replicas=args.replicas,
            cpu=args.cpu,
            memory=args.memory,
            user=_USER,
            ports={"http": _API, "peering": _PEERING},
            probes=Probes(
                port="http", started="/health", live="/health", ready="/health", start_seconds=_START_SECONDS
            ),
            # People search through services of ours: no load balancer leads here.
            surroundings=Surroundings(data_cidrs=args.setting.surroundings.data_cidrs, balancer_cidrs=()),
            callers=[*args.callers, setup_job.labels(f"{self._name}-schema")],
            among=[_API, _PEERING],
            environment={
                "TYPESENSE_DATA_DIR": _DATA,
                "TYPESENSE_NODES": f"{_CONFIGURATION}/nodes",
                "TYPESENSE_API_PORT": str(_API),
                "TYPESENSE_PEERING_PORT": str(_PEERING),
                # A pod that comes back has another address: the names are looked up anew.
                "TYPESENSE_RESET_PEERS_ON_ERROR": "true",
                "TYPESENSE_DISK_USED_MAX_PERCENTAGE": "85",
                "TYPESENSE_ENABLE_CORS": "false",
            },
            secrets=SecretEnvironment(
                sources={"key": (self.administrator.name, "key")}, variables={"TYPESENSE_API_KEY": "{{ .key }}"}
            ),
            files={_CONFIGURATION: {"nodes": nodes(self._name, args.replicas)}},
            volume=Volume(path=_DATA, gib=args.gib, storage_class=args.storage_class),
            # It writes a snapshot before it ends.
            grace=120,
        )

    def _schema(self) -> SetupJobArgs:
        parts = ("key", "next", "previous")
        sources: dict[str, tuple[pulumi.Input[str], str]] = {"administrator": (self.administrator.name, "key")}
        for use, secret in self.keys.items():
            sources |= {f"{use}_{part}": (secret.name, part) for part in parts}
        lists = ", ".join(
            f'"{use}": [{", ".join(f"{{{{ .{use}_{part} | toJson }}}}" for part in parts)}]' for use in self.keys
        )
        return SetupJobArgs(
            image=self._args.setting.image,
            command=self._args.command,
            namespace=self._args.setting.namespace,
            documents={"SEARCH_SCHEMA": json.dumps(schema(COLLECTIONS), sort_keys=True)},
            environment={"SEARCH_URL": self.application.url},
            secrets=SecretEnvironment(
                sources=sources,
                variables={"SEARCH_ADMINISTRATOR_KEY": "{{ .administrator }}", "SEARCH_KEYS": f"{{{lists}}}"},
            ),
            surroundings=self._args.setting.surroundings,
            every="17 * * * *",
        )
