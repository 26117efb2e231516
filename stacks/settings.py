"""What may differ between environments, typed and checked before anything is planned.

Nothing here has a default: each stack file states it, so that a reader of the file sees the environment. What is the
same everywhere is decided once, in the components.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from components import addresses, aws_facts, preview_names, realm
from components.broker import Deployment
from components.certificate import check_host
from components.firewall import FirewallArgs
from components.firewall_rules import Profile
from components.network import Nat

PROJECT, PREVIEW = "event-platform", "preview"
ServiceName = Literal["booking", "payment", "notification"]
SERVICES: tuple[ServiceName, ...] = get_args(ServiceName)
# Software of others with a database of its own.
OwnerName = Literal["identity", "analytics"]
OWNERS: tuple[OwnerName, ...] = get_args(OwnerName)
_ENVIRONMENT = r"^[a-z][a-z0-9-]{1,14}$"
# AWS Regions have three zones or more where we run; two is the least that survives the loss of one.
Zones = Annotated[tuple[str, ...], Field(min_length=2, max_length=4)]
Count = Annotated[int, Field(ge=1, le=100)]
Model = TypeVar("Model", bound=BaseModel)


class InvalidSettings(ValueError):
    """The stack file says something that cannot work; the message names path, value, rule and remedy for each."""


class Settings(BaseModel):
    """A group of settings: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _offered(engine: aws_facts.Engine) -> Callable[[str], str]:
    """A validator: a version that AWS offers, or an upgrade that it does in one step."""

    def check(version: str) -> str:
        engine.version(version)
        return version

    return check


class NetworkSettings(Settings):
    cidr: str
    zones: Zones
    nat: Nat

    @field_validator("cidr")
    @classmethod
    def _divisible(cls, cidr: str) -> str:
        addresses.plan(cidr, zones=4)
        return cidr


class LimitSettings(Settings):
    """The most that machines bought for waiting pods have together."""

    cpu: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[int, Field(ge=1)]


class ClusterSettings(Settings):
    """``min_nodes`` to ``max_nodes`` are the managed group; beyond it, machines are bought up to ``limits``."""

    version: Annotated[str, AfterValidator(_offered(aws_facts.KUBERNETES))]
    public_access_cidrs: tuple[str, ...]
    instance_types: Annotated[tuple[str, ...], Field(min_length=1)]
    min_nodes: Count
    max_nodes: Count
    admin_role_arns: tuple[str, ...]
    spot: bool
    limits: LimitSettings


class DatabaseSettings(Settings):
    """``proxy`` and ``replica`` cost as much as an instance each, for every database."""

    version: Annotated[str, AfterValidator(_offered(aws_facts.POSTGRESQL))]
    instance_class: str
    storage_gib: Annotated[int, Field(ge=20)]
    max_storage_gib: Annotated[int, Field(ge=22)]
    multi_az: bool
    backup_days: Annotated[int, Field(ge=1, le=35)]
    proxy: bool
    replica: bool


class BrokerSettings(Settings):
    version: Annotated[str, AfterValidator(_offered(aws_facts.RABBITMQ))]
    instance_type: str
    deployment: Deployment


class CacheNodes(Settings):
    node_type: str
    nodes: Annotated[int, Field(ge=1, le=6)]
    snapshot_days: Annotated[int, Field(ge=0, le=35)]


class CacheSettings(Settings):
    """Two caches: what must not be evicted (admission tokens, locks), and what may (reads)."""

    version: Annotated[str, AfterValidator(_offered(aws_facts.VALKEY))]
    admission: CacheNodes
    reads: CacheNodes


class SecretsSettings(Settings):
    rotation_days: Annotated[int, Field(ge=1, le=1000)]


class ServiceSettings(Settings):
    """``pool`` is the size of one process's connection pool; what scales has ``replicas`` to ``max_replicas`` pods."""

    image_digest: str
    replicas: Count
    max_replicas: Count
    pool: Count

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas is {self.max_replicas}, below replicas, which is {self.replicas}")
        return self


class OwnDatabaseSettings(Settings):
    """The database of somebody else's software; its version is that of all databases."""

    instance_class: str
    storage_gib: Annotated[int, Field(ge=20)]
    max_storage_gib: Annotated[int, Field(ge=22)]
    multi_az: bool
    backup_days: Annotated[int, Field(ge=1, le=35)]


class ApplicationSettings(Settings):
    """``image`` is repository:version@digest. ``configure`` lets a job bring the application to its document."""

    image: str
    replicas: Count
    cpu: str
    memory: str
    configure: bool


class IdentitySettings(ApplicationSettings):
    """``url`` is its public address; ``app_links`` are where the mobile application is called back."""

    url: str
    pool: Annotated[int, Field(ge=2, le=100)]
    web_origins: Annotated[tuple[str, ...], Field(min_length=1)]
    app_links: Annotated[tuple[str, ...], Field(min_length=1)]
    mail_from: str
    database: OwnDatabaseSettings


class SearchSettings(ApplicationSettings):
    """``disk_gib`` is each node's own."""

    disk_gib: Annotated[int, Field(ge=1)]


class AnalyticsSettings(ApplicationSettings):
    """``administrator`` is the e-mail address under which the set-up job signs in."""

    url: str
    pool: Annotated[int, Field(ge=2, le=100)]
    administrator: str
    database: OwnDatabaseSettings


class ApplicationsSettings(Settings):
    """Software of others that runs on the cluster."""

    identity: IdentitySettings
    search: SearchSettings
    analytics: AnalyticsSettings


class QuotaSettings(Settings):
    """The most that all pods of the namespace request together."""

    pods: Annotated[int, Field(ge=10)]
    cpu: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[int, Field(ge=1)]


class DeliverySettings(Settings):
    """``repository`` is owner/name on GitHub: its workflows plan and apply."""

    repository: str


class GuardrailsSettings(Settings):
    """``monthly_budget`` is what a month may cost, in US dollars; daily backups stay for ``backup_days``."""

    monthly_budget: Annotated[int, Field(ge=1)]
    backup_days: Annotated[int, Field(ge=1, le=3650)]


class OutsideSettings(Settings):
    """Addresses of what the platform does not run itself."""

    issuer: str
    stripe_api: str
    novu_api: str


class FirewallSettings(Settings):
    """``enforced`` are the rules that act; the others count (components/firewall_rules.py has them all)."""

    profile: Profile
    enforced: tuple[str, ...]

    @field_validator("enforced")
    @classmethod
    def _known(cls, enforced: tuple[str, ...]) -> tuple[str, ...]:
        FirewallArgs(profile=Profile.EVERYDAY, enforced=frozenset(enforced))
        return enforced


class EdgeSettings(Settings):
    """``domain`` is the name of the platform to the world; its zone is made here and delegated to from outside."""

    domain: str
    firewall: FirewallSettings

    @field_validator("domain")
    @classmethod
    def _a_host(cls, domain: str) -> str:
        check_host(domain)
        return domain


class PlatformSettings(Settings):
    environment: Annotated[str, Field(pattern=_ENVIRONMENT)]
    production: bool
    protected: bool
    recovery_region: str
    owner: str
    cost_center: str
    log_retention_days: Literal[7, 30, 90, 365]
    network: NetworkSettings
    cluster: ClusterSettings
    quota: QuotaSettings
    database: DatabaseSettings
    broker: BrokerSettings
    cache: CacheSettings
    secrets: SecretsSettings
    services: dict[ServiceName, ServiceSettings]
    applications: ApplicationsSettings
    outside: OutsideSettings
    edge: EdgeSettings
    delivery: DeliverySettings
    guardrails: GuardrailsSettings

    @field_validator("recovery_region")
    @classmethod
    def _recoverable(cls, region: str) -> str:
        aws_facts.check_region("recovery_region", region)
        return region

    @model_validator(mode="after")
    def _every_service(self) -> Self:
        missing = sorted(set(SERVICES) - set(self.services))
        if missing:
            raise ValueError(f"services lacks {', '.join(missing)}; an environment runs all of {', '.join(SERVICES)}")
        return self

    @model_validator(mode="after")
    def _production_survives(self) -> Self:
        """What production must have, so that the loss of a zone or of a table is an incident and not the end."""
        if not self.production:
            return self
        network, database, cache = self.network, self.database, self.cache
        rules: tuple[tuple[bool, str], ...] = (
            (len(network.zones) >= 3, f"network.zones are {len(network.zones)}, it needs 3"),
            (
                network.nat in (Nat.PER_ZONE, Nat.REGIONAL),
                f"network.nat is {network.nat}, it needs per-zone or regional",
            ),
            (database.multi_az, "database.multi_az is false, it needs a standby in another zone"),
            (database.backup_days >= 7, f"database.backup_days is {database.backup_days}, it needs 7"),
            (self.broker.deployment is Deployment.CLUSTER, "broker.deployment is one node, it needs CLUSTER_MULTI_AZ"),
            (cache.admission.nodes >= 2, f"cache.admission.nodes is {cache.admission.nodes}, it needs a replica"),
            (cache.reads.nodes >= 2, f"cache.reads.nodes is {cache.reads.nodes}, it needs a replica"),
            (cache.admission.snapshot_days >= 1, "cache.admission.snapshot_days is 0, it keeps snapshots: 1 or more"),
            (not self.cluster.public_access_cidrs, "cluster.public_access_cidrs is not empty, its API is private"),
            (self.log_retention_days >= 90, f"log_retention_days is {self.log_retention_days}, it keeps 90"),
            (
                self.guardrails.backup_days >= 35,
                f"guardrails.backup_days is {self.guardrails.backup_days}, it keeps daily backups for 35",
            ),
            (
                {"allowed-addresses", "blocked-addresses"} <= set(self.edge.firewall.enforced),
                "edge.firewall.enforced lacks the lists of addresses, on-call could refuse nobody",
            ),
            (all(s.replicas >= 2 for s in self.services.values()), "a service has 1 replica, it needs 2 or more"),
            *self._applications_survive(),
        )
        broken = [message for holds, message in rules if not holds]
        if broken:
            raise ValueError(f"{PROJECT}:production is true: {'; '.join(broken)}")
        return self

    def _applications_survive(self) -> Iterator[tuple[bool, str]]:
        chosen = self.applications
        issuer, seen = f"{chosen.identity.url}/realms/{realm.NAME}", f"https://{self.edge.domain}"
        yield (
            chosen.identity.url == seen,
            f"applications.identity.url is {chosen.identity.url}, people sign in at {seen}",
        )
        yield self.outside.issuer == issuer, f"outside.issuer is {self.outside.issuer}, it needs its own: {issuer}"
        for name, application, least in (
            ("identity", chosen.identity, 2),
            ("search", chosen.search, 3),
            ("analytics", chosen.analytics, 2),
        ):
            path, replicas = f"applications.{name}", application.replicas
            yield replicas >= least, f"{path}.replicas is {replicas}, it needs {least}"
            yield application.configure, f"{path}.configure is false, it needs what its document says"
        for name, database in (("identity", chosen.identity.database), ("analytics", chosen.analytics.database)):
            path, days = f"applications.{name}.database", database.backup_days
            yield database.multi_az, f"{path}.multi_az is false, it needs a standby in another zone"
            yield days >= 7, f"{path}.backup_days is {days}, it needs 7"


class PreviewSettings(Settings):
    """A preview: what the stack of a pull request says (``event-platform:preview``), and nothing of an environment.

    ``host`` is the environment whose guest it is, ``place`` which of the guests' places at its balancer; ``images`` are
    digests by service.
    """

    name: Annotated[str, AfterValidator(preview_names.check)]
    host: Annotated[str, Field(pattern=_ENVIRONMENT)]
    place: Annotated[int, Field(ge=0)]
    images: dict[ServiceName, str]

    @model_validator(mode="after")
    def _every_service(self) -> Self:
        if missing := sorted(set(SERVICES) - set(self.images)):
            raise ValueError(f"images lacks {', '.join(missing)}; a preview runs all of {', '.join(SERVICES)}")
        return self


def from_mapping(values: Mapping[str, Any], source: str) -> PlatformSettings:
    """Settings from ``{key: value}``, as in the config of a stack file without the project's prefix.

    Raises InvalidSettings, naming ``source`` and, for each mistake, its path, its value and what is allowed.
    """
    return _validated(PlatformSettings, values, source)


def preview_from_config(config: Mapping[str, str], source: str) -> PreviewSettings | None:
    """What Pulumi's configuration says of a preview; None when it is an environment's. Raises InvalidSettings."""
    key = f"{PROJECT}:{PREVIEW}"
    return _validated(PreviewSettings, _decode(config[key]), source, PREVIEW) if key in config else None


def from_config(config: Mapping[str, str], source: str) -> PlatformSettings:
    """Settings from Pulumi's configuration: ``project:key`` → text, where structures are JSON."""
    prefix = f"{PROJECT}:"
    return from_mapping(
        {key.removeprefix(prefix): _decode(value) for key, value in config.items() if key.startswith(prefix)}, source
    )


def from_file(text: str, source: str) -> PlatformSettings:
    """Settings from the text of a stack file."""
    config = (yaml.safe_load(text) or {}).get("config") or {}
    prefix = f"{PROJECT}:"
    return from_mapping(
        {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}, source
    )


def _validated(model: type[Model], values: Mapping[str, Any], source: str, *within: str) -> Model:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        mistakes = "\n".join(f"- {_explain(item, within)}" for item in error.errors(include_url=False))
        raise InvalidSettings(f"{source} cannot be used:\n{mistakes}") from error


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _explain(error: Any, within: Sequence[str]) -> str:
    location = [*within, *(str(part) for part in error["loc"])]
    path = f"{PROJECT}:{'.'.join(location)}" if location else PROJECT
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        known = sorted(PreviewSettings.model_fields) if within else _keys(location[:-1])
        close = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}"
        return f"{path} is not a setting; {hint}"
    if error["type"] == "missing":
        return f"{path} is missing; every stack file states it, see Pulumi.dev.yaml"
    if not location:
        return str(message)
    return f"{path} is {error['input']!r}: {message}"


def _keys(location: list[str]) -> list[str]:
    """The settings that exist below a path."""
    model: type[BaseModel] = PlatformSettings
    for part in location:
        found = model.model_fields[part].annotation if part in model.model_fields else ServiceSettings
        model = found if isinstance(found, type) and issubclass(found, BaseModel) else ServiceSettings
    return sorted(model.model_fields)
