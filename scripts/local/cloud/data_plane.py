"""Addresses and administrators of the real servers behind the simulated cloud; every part is optional.

With a part given, creating the AWS resource makes the real thing (`scripts/local/cloud/real/`), and the resource's
outputs and
AWS's own answers name the real host and port. Without it they name hosts as AWS would, where nobody listens.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Postgres(_Part):
    """``admin_url``: postgresql:// with a role that may create databases and roles."""

    host: str
    port: int = Field(gt=0, lt=65536)
    admin_url: str


class Redis(_Part):
    """``admin_url``: redis:// or rediss:// with a user that may change the access-control list."""

    host: str
    port: int = Field(gt=0, lt=65536)
    admin_url: str


class RabbitMQ(_Part):
    """``port`` speaks AMQP over TLS; ``management_url`` is http(s)://host:port of the management API."""

    host: str
    port: int = Field(gt=0, lt=65536)
    management_url: str
    user: str
    password: str


class Kubernetes(_Part):
    """``kubeconfig``: the path of a file with an administrator's context."""

    kubeconfig: Path


class DataPlane(_Part):
    """``secrets``: values, by name, for secrets that an operator fills by hand on AWS."""

    postgres: Postgres | None = None
    redis: Redis | None = None
    rabbitmq: RabbitMQ | None = None
    kubernetes: Kubernetes | None = None
    secrets: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> DataPlane:
        """Read the JSON file; raises pydantic.ValidationError naming the key that is wrong."""
        return cls.model_validate_json(path.read_text())
