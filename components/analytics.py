"""Metabase: figures for organisers and for the platform. Its content is a document (components/analytics_content.py).

It reads the services' databases as roles that may read, and of these neither tickets' codes nor messages; it keeps its
own state in a database of its own. A dashboard is shown outside only with a signature that says for whom: the key is in
a secret that Metabase and the signing service read. What Metabase keeps of other logins is encrypted with another key,
which does not rotate: to change it, everything that it encrypted must be written anew by a command of Metabase's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
from pulumi_aws import secretsmanager

from components import application_alarms, authorities, own_database, secret_environment, setup_job
from components.analytics_content import DASHBOARDS, content
from components.application import Application, ApplicationArgs
from components.application_alarms import ApplicationAlarmsArgs
from components.application_pod import Probes
from components.context import Context
from components.database import Database
from components.own_database import FIELDS, Setting
from components.reach import Port
from components.secret_environment import SecretEnvironment
from components.secrets import Secrets, generated_password
from components.setup_job import SetupJob, SetupJobArgs
from components.severity import Severity

_PORT = 3000
# The image's programs are readable for everybody.
_USER = 2000
# The first start migrates its database: minutes.
_START_SECONDS = 600
# "citext" is what its own tables are made with; making an extension needs more rights than it gets.
_EXTENSIONS = ("citext",)
_READABLE = ("booking", "payment", "notification")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsArgs:
    """``url`` is where people reach it; ``readers`` are the secrets of roles that may read, by database."""

    image: str
    replicas: int
    cpu: str
    memory: str
    url: str
    pool: int
    database: Database
    readers: Mapping[str, secretsmanager.Secret]
    administrator_address: str
    setting: Setting
    configure: bool
    role_command: Sequence[str]
    content_command: Sequence[str]
    authorities: secretsmanager.Secret

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname or parts.path:
            raise ValueError(f"url is {self.url!r}; figures are shown over TLS: https and a host, without a path")
        if missing := sorted(set(_READABLE) - set(self.readers)):
            raise ValueError(f"readers lack {', '.join(missing)}; questions ask {', '.join(_READABLE)}")
        if not 2 <= self.pool <= 100:
            raise ValueError(f"pool is {self.pool}; each pod needs 2 to 100 connections")


class Analytics(pulumi.ComponentResource):
    """Metabase, its keys, its content and its alarms."""

    application: Application
    administrator: secretsmanager.Secret
    embedding: secretsmanager.Secret
    """{key, next, previous, url}: whoever shows a dashboard signs with ``key`` (services/common/embedding.py)."""
    encryption: secretsmanager.Secret

    def __init__(
        self,
        name: str,
        args: AnalyticsArgs,
        *,
        secrets: Secrets,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:analytics:Analytics", name, None, opts)
        self._name, self._args = name, args
        child = pulumi.ResourceOptions(parent=self)
        self.administrator = secrets.key(f"{name}-administrator", about="Metabase's administrator: the set-up job")
        self.embedding = secrets.key(f"{name}-embedding", about="Signs embedded dashboards", url=args.url)
        self.encryption = secrets.keep(
            f"{name}-encryption",
            {"key": generated_password(f"{name}-encryption", child)},
            about="Encrypts the logins that Metabase keeps",
        )
        role = own_database.role(
            name, args.database, args.setting, command=args.role_command, extensions=_EXTENSIONS, opts=child
        )
        self.application = Application(
            name, self._application(), opts=pulumi.ResourceOptions(parent=self, depends_on=[role])
        )
        if args.configure:
            SetupJob(
                f"{name}-content",
                self._content(),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.application.running]),
            )
        application_alarms.make(
            name,
            ApplicationAlarmsArgs(
                service=name,
                cluster_name=args.setting.cluster_name,
                namespace=args.setting.namespace,
                least=args.replicas,
                # No sale depends on it.
                severity=Severity.TICKET,
                runbook="analytics_unavailable",
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
            ports={"http": _PORT},
            probes=Probes(
                port="http",
                started="/api/health",
                live="/api/health",
                ready="/api/health",
                start_seconds=_START_SECONDS,
            ),
            surroundings=args.setting.surroundings,
            reaches=[Port.POSTGRES],
            callers=[setup_job.labels(f"{self._name}-content")],
            # The image's own start script wants to be root, to become somebody else.
            command=["java", "-XX:MaxRAMPercentage=70", "-jar", "/app/metabase.jar"],
            environment={
                "MB_JETTY_PORT": str(_PORT),
                "MB_JETTY_HOST": "0.0.0.0",
                "MB_SITE_URL": args.url,
                "MB_DB_TYPE": "postgres",
                "MB_APPLICATION_DB_MAX_CONNECTION_POOL_SIZE": str(args.pool),
                "MB_PLUGINS_DIR": "/plugins",
                "MB_ANON_TRACKING_ENABLED": "false",
                "MB_CHECK_FOR_UPDATES": "false",
                "MB_LOAD_SAMPLE_CONTENT": "false",
                "MB_ENABLE_PUBLIC_SHARING": "false",
                # Length over composition; the set-up job's own has letters and digits.
                "MB_PASSWORD_COMPLEXITY": "weak",
                "MB_PASSWORD_LENGTH": "16",
                "MB_EMOJI_IN_LOGS": "false",
            },
            secrets=SecretEnvironment(
                sources={
                    **own_database.sources(args.database),
                    "embedding": (self.embedding.name, "key"),
                    "encryption": (self.encryption.name, "key"),
                },
                variables={
                    "MB_DB_CONNECTION_URI": authorities.jdbc(f"{args.database.database}_service"),
                    "MB_DB_USER": "{{ .db_username }}",
                    "MB_DB_PASS": "{{ .db_password }}",
                    "MB_EMBEDDING_SECRET_KEY": "{{ .embedding }}",
                    "MB_ENCRYPTION_SECRET_KEY": "{{ .encryption }}",
                },
            ),
            secret_files=authorities.files(args.authorities.name),
            scratch={"/plugins": "256Mi"},
        )

    def _content(self) -> SetupJobArgs:
        args = self._args
        sources: dict[str, tuple[pulumi.Input[str], str]] = {
            "administrator": (self.administrator.name, "key"),
            "previous": (self.administrator.name, "previous"),
        }
        for name, reader in args.readers.items():
            sources |= {f"{name}_{field}": (reader.name, field) for field in FIELDS}
        logins = ", ".join(
            f'"{name}": {secret_environment.as_json(FIELDS, prefix=f"{name}_")}' for name in args.readers
        )
        return SetupJobArgs(
            image=args.setting.image,
            command=args.content_command,
            namespace=args.setting.namespace,
            documents={"ANALYTICS_CONTENT": json.dumps(content(DASHBOARDS), sort_keys=True)},
            environment={
                "METABASE_URL": self.application.url,
                "METABASE_ADMINISTRATOR": args.administrator_address,
                "METABASE_AUTHORITIES": authorities.PATH,
            },
            secrets=SecretEnvironment(
                sources=sources,
                variables={
                    "METABASE_PASSWORD": "{{ .administrator }}",
                    "METABASE_PREVIOUS_PASSWORD": "{{ .previous }}",
                    "ANALYTICS_DATABASES": f"{{{logins}}}",
                },
            ),
            surroundings=args.setting.surroundings,
            every="27 * * * *",
        )
