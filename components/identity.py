"""Keycloak: who somebody is, and which roles they have. Its realm is a document (components/realm.py).

It runs in production mode with its own database; the pods of a cluster find each other through that database
(Keycloak documentation, "Configuring distributed caches": jdbc-ping) and speak to each other over TLS of their own. It
refuses an address without TLS, and pools that its database could not serve. Keycloak writes its optimised code into its
own folder when it starts: the pod has a copy of that folder to write to, and nothing else of the image changes.

The administrator is a client of the master realm, for the set-up job alone: Keycloak takes its first secret when the
database is empty, and the job turns it over afterwards. People administer with accounts of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
from pulumi_aws import secretsmanager

from components import application_alarms, authorities, own_database, secret_environment, setup_job
from components import realm as realm_document
from components.application import Application, ApplicationArgs
from components.application_alarms import ApplicationAlarmsArgs
from components.application_pod import Prepared, Probes
from components.context import Context
from components.database import Database
from components.own_database import Setting
from components.reach import Port
from components.realm import RealmArgs
from components.secret_environment import SecretEnvironment
from components.secrets import Secrets, generated_password
from components.setup_job import SetupJob, SetupJobArgs
from components.severity import Severity

# Keycloak documentation, "Configuring Keycloak" and "Configuring distributed caches": ports.
_HTTP, _MANAGEMENT, _CLUSTER, _CLUSTER_ALIVE = 8080, 9000, 7800, 57800
# The image's user; its files are readable for it alone.
_USER = 1000
_HOME = "/opt/keycloak"
# It compiles its configuration first: about a minute of one processor.
_START_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityArgs:
    """``url`` is where people reach it. ``pool`` is the size of each pod's connection pool.

    ``configure`` runs the job that applies the realm; where the image itself does not run, there is nobody to ask.
    ``role_command`` and ``realm_command`` are programs of ``setting.image``.
    """

    image: str
    replicas: int
    cpu: str
    memory: str
    url: str
    pool: int
    realm: RealmArgs
    database: Database
    setting: Setting
    configure: bool
    role_command: Sequence[str]
    realm_command: Sequence[str]
    social: secretsmanager.Secret
    mail: secretsmanager.Secret
    authorities: secretsmanager.Secret

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname or parts.path:
            raise ValueError(
                f"url is {self.url!r}; it is the issuer of every token: https and a host, without a path, like "
                "https://tickets.example.com"
            )
        if not 2 <= self.pool <= 100:
            raise ValueError(f"pool is {self.pool}; each pod needs 2 to 100 connections")


class Identity(pulumi.ComponentResource):
    """Keycloak, its administrator, the secret of the services' client, its realm and its alarms."""

    application: Application
    service: str
    """The Kubernetes Service on its port 8080."""
    issuer: str
    """What tokens name as their issuer: the services' OIDC_ISSUER."""
    administrator: secretsmanager.Secret
    """{key, next, previous}: secrets of the client ``setup`` of the master realm."""
    services_secret: secretsmanager.Secret
    """{client_id, key, issuer}: with it a service asks for a token of its own."""

    def __init__(
        self,
        name: str,
        args: IdentityArgs,
        *,
        secrets: Secrets,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:identity:Identity", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.service = name
        self.issuer = f"{args.url}/realms/{realm_document.NAME}"
        self.administrator = secrets.key(f"{name}-administrator", about="Client of Keycloak's set-up job")
        self.services_secret = secrets.keep(
            f"{name}-services",
            {
                "client_id": "services",
                "key": generated_password(f"{name}-services", self._child),
                "issuer": self.issuer,
            },
            about="The services' own client of Keycloak",
        )
        role = own_database.role(name, args.database, args.setting, command=args.role_command, opts=self._child)
        self.application = Application(
            name,
            self._application(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )
        if args.configure:
            SetupJob(
                f"{name}-realm",
                self._realm(),
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
                runbook="identity_unavailable",
            ),
            context=context,
            opts=self._child,
        )
        self.register_outputs({"issuer": self.issuer})

    def _application(self) -> ApplicationArgs:
        args = self._args
        return ApplicationArgs(
            image=args.image,
            namespace=args.setting.namespace,
            replicas=args.replicas,
            cpu=args.cpu,
            memory=args.memory,
            user=_USER,
            ports={"http": _HTTP, "management": _MANAGEMENT},
            # Keycloak documentation, "Tracking instance status with health checks".
            probes=Probes(
                port="management",
                started="/health/started",
                live="/health/live",
                ready="/health/ready",
                start_seconds=_START_SECONDS,
            ),
            surroundings=args.setting.surroundings,
            reaches=[Port.POSTGRES, Port.HTTPS, Port.SMTP],
            callers=[setup_job.labels(f"{self._name}-realm")],
            among=[_CLUSTER, _CLUSTER_ALIVE],
            arguments=["start"],
            environment={
                "KC_HOSTNAME": args.url,
                # The load balancer ends TLS and says who called; the port is open to it and to the set-up job alone.
                "KC_HTTP_ENABLED": "true",
                "KC_PROXY_HEADERS": "xforwarded",
                "KC_HEALTH_ENABLED": "true",
                "KC_METRICS_ENABLED": "true",
                "KC_CACHE_STACK": "jdbc-ping",
                "KC_DB": "postgres",
                "KC_DB_POOL_MAX_SIZE": str(args.pool),
                "KC_LOG_CONSOLE_OUTPUT": "json",
                "KC_BOOTSTRAP_ADMIN_CLIENT_ID": "setup",
            },
            secrets=SecretEnvironment(
                sources={**own_database.sources(args.database), "administrator": (self.administrator.name, "key")},
                variables={
                    "KC_DB_URL": authorities.jdbc(f"{args.database.database}_service"),
                    "KC_DB_USERNAME": "{{ .db_username }}",
                    "KC_DB_PASSWORD": "{{ .db_password }}",
                    "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": "{{ .administrator }}",
                },
            ),
            secret_files=authorities.files(args.authorities.name),
            scratch={f"{_HOME}/data": "256Mi"},
            prepared=[Prepared(path=f"{_HOME}/lib/quarkus", size="128Mi")],
        )

    def _realm(self) -> SetupJobArgs:
        args = self._args
        by_hand = [each for each in realm_document.SECRETS if each != "services_secret"]
        sources: dict[str, tuple[pulumi.Input[str], str]] = {
            "administrator": (self.administrator.name, "key"),
            "previous": (self.administrator.name, "previous"),
            "services_secret": (self.services_secret.name, "key"),
            **{
                each: (args.mail.name if each.startswith("mail_") else args.social.name, each.removeprefix("mail_"))
                for each in by_hand
            },
        }
        return SetupJobArgs(
            image=args.setting.image,
            command=args.realm_command,
            namespace=args.setting.namespace,
            documents={"REALM": json.dumps(realm_document.realm(args.realm), sort_keys=True)},
            environment={
                "KEYCLOAK_URL": self.application.url,
                "REALM_DEFAULT_ROLE": realm_document.EVERYBODY,
            },
            secrets=SecretEnvironment(
                sources=sources,
                variables={
                    "KEYCLOAK_ADMINISTRATOR_KEY": "{{ .administrator }}",
                    "KEYCLOAK_ADMINISTRATOR_PREVIOUS": "{{ .previous }}",
                    "REALM_SECRETS": secret_environment.as_json(realm_document.SECRETS),
                },
            ),
            surroundings=args.setting.surroundings,
            every="7 * * * *",
        )
