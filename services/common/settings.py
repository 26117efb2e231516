"""Settings come from the environment alone, are checked once at the start, and never change."""

from __future__ import annotations

import difflib
import os
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class InvalidSettings(ValueError):
    """One or more settings are missing, wrong or mistyped; the message names each, the rule and the remedy."""


def _https_or_loopback(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host == "localhost" or host.startswith("127.") or host == "::1"
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and local)):
        raise ValueError("must be an https:// URL (http:// is accepted on loopback alone); correct the URL")
    return url.rstrip("/")


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL; correct the URL")
    return url.rstrip("/")


HttpsUrl = Annotated[str, AfterValidator(_https_or_loopback)]


class ServiceSettings(BaseSettings):
    """What each process of each service reads: where it listens and how it logs."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False)

    pod_ip: str = Field(default="127.0.0.1", description="address to bind")
    port: int = Field(default=8080, ge=1, le=65535, alias="HTTP_PORT")
    log_level: str = Field(default="info", pattern="(?i)^(debug|info|warning|error)$")
    # OpenTelemetry's own names (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(_http)] | None = Field(
        default=None, description="the collector's OTLP/HTTP address, inside the cluster; without it nothing is traced"
    )
    otel_traces_sampler_arg: float = Field(default=0.1, ge=0, le=1, description="share of traces that are kept")


class DatabaseSettings(ServiceSettings):
    """A process that uses the service's database."""

    database_url: SecretStr
    database_pool_size: int = Field(default=10, ge=1, le=100)


class MigrationSettings(DatabaseSettings):
    """The migration Job: the owner's URL, and the URLs of the service and of the reader, whose roles it creates."""

    migration_database_url: SecretStr
    reader_database_url: SecretStr | None = None


class BrokerSettings(DatabaseSettings):
    """A process that talks to RabbitMQ."""

    amqp_url: SecretStr


class AwsSettings(DatabaseSettings):
    """A process that calls AWS. AWS_ENDPOINT_URL and credentials are read by boto3 itself."""

    aws_region: str = Field(pattern="^[a-z]{2}(-[a-z]+)+-[0-9]$")


class WorkerSettings(AwsSettings):
    """A saga worker: the queue of its commands."""

    saga_queue_url: str = Field(pattern="^https?://")
    saga_concurrency: int = Field(default=8, ge=1, le=64, description="commands carried out at the same time")
    saga_wait_seconds: int = Field(default=5, ge=1, le=20, description="long poll; also the longest wait for a drain")
    saga_heartbeat_seconds: float = Field(default=20.0, gt=0, le=60)
    saga_lease_seconds: float = Field(default=60.0, gt=0, le=43_200)


class AuthSettings(ServiceSettings):
    """An API: whose bearer tokens it accepts. There is no way to switch authentication off."""

    oidc_issuer: HttpsUrl
    oidc_audience: str = Field(default="event-platform", min_length=1)


S = TypeVar("S", bound=BaseSettings)


def load(cls: type[S]) -> S:
    """Read the environment. Raises InvalidSettings naming every variable at fault; secrets are never shown."""
    known = {(field.alias or name).upper() for name, field in cls.model_fields.items()}
    problems = [
        f"{name} is set but unknown: did you mean {near[0]}? Rename or remove it"
        for name in sorted(os.environ)
        if name not in known and (near := difflib.get_close_matches(name, known - os.environ.keys(), n=1, cutoff=0.85))
    ]
    try:
        settings = cls()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = str(fault["loc"][0]).upper()
            secret = cls.model_fields.get(str(fault["loc"][0]))
            if fault["type"] == "missing":
                problems.append(f"{name} is not set: {cls.__name__} needs it. Set it in the environment")
            else:
                shown = "" if secret and secret.annotation is SecretStr else f" is {os.environ.get(name)!r}"
                problems.append(f"{name}{shown}: {fault['msg']}. Correct it in the environment")
        raise InvalidSettings("; ".join(problems)) from None
    if problems:
        raise InvalidSettings("; ".join(problems))
    return settings


def load_or_exit(cls: type[S]) -> S:
    """`load` for an entry point: wrong settings end the process with the message alone, status 1."""
    try:
        return load(cls)
    except InvalidSettings as error:
        raise SystemExit(f"settings: {error}") from None
