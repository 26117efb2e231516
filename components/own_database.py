"""The database of somebody else's software: a role that makes its own tables, and the job that makes the role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.database import Database
from components.reach import Port, Surroundings
from components.secret_environment import SecretEnvironment
from components.setup_job import SetupJob, SetupJobArgs

FIELDS = ("username", "password", "host", "port", "database")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the set-up jobs of applications share: an image of ours that has their programs, and where they run."""

    image: pulumi.Input[str]
    namespace: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    surroundings: Surroundings


def sources(database: Database) -> dict[str, tuple[pulumi.Input[str], str]]:
    """The aliases ``db_username``, ``db_host`` … of a database's own login."""
    return {f"db_{field}": (database.service_secret.name, field) for field in FIELDS}


def role(
    name: str,
    database: Database,
    setting: Setting,
    *,
    command: Sequence[str],
    extensions: Sequence[str] = (),
    opts: pulumi.ResourceOptions,
) -> SetupJob:
    """The job that makes the role and, before it, the ``extensions`` that the software takes for granted.

    RDS's own password may need escaping; ours are letters and digits.
    """
    address = "{{ .db_host }}:{{ .db_port }}/{{ .db_database }}?sslmode=verify-full"
    return SetupJob(
        f"{name}-database-role",
        SetupJobArgs(
            image=setting.image,
            command=command,
            namespace=setting.namespace,
            documents={"DATABASE_EXTENSIONS": ",".join(extensions)},
            secrets=SecretEnvironment(
                sources={
                    **sources(database),
                    "owner_username": (database.owner_secret_arn, "username"),
                    "owner_password": (database.owner_secret_arn, "password"),
                },
                variables={
                    "DATABASE_URL": f"postgresql://{{{{ .db_username }}}}:{{{{ .db_password }}}}@{address}",
                    "OWNER_DATABASE_URL": (
                        f"postgresql://{{{{ .owner_username }}}}:{{{{ .owner_password | urlquery }}}}@{address}"
                    ),
                },
            ),
            surroundings=setting.surroundings,
            reaches=[Port.POSTGRES],
        ),
        opts=opts,
    )
