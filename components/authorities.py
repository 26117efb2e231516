"""Who signs the certificates of the databases, as a file in pods that come with no trust of ours.

RDS has an authority of its own, which no image of others knows. Its certificates for the Region are put into a secret
by hand: no secret, but something that only AWS publishes and that changes every few years.
"""

from __future__ import annotations

import pulumi

from components.secret_environment import SecretEnvironment

FOLDER = "/etc/database-authorities"
_FILE = "bundle.pem"
PATH = f"{FOLDER}/{_FILE}"


def files(secret_name: pulumi.Input[str]) -> dict[str, SecretEnvironment]:
    """The folder for an application's ``secret_files``."""
    return {FOLDER: SecretEnvironment(sources={"bundle": (secret_name, "bundle")}, variables={_FILE: "{{ .bundle }}"})}


def jdbc(role: str) -> str:
    """A JDBC URL as a template over the aliases of a database's secret, acting as ``role`` whoever signs in.

    Logins take turns; what they make belongs to one role (services/setup/database_role.py).
    """
    return (
        "jdbc:postgresql://{{ .db_host }}:{{ .db_port }}/{{ .db_database }}"
        f"?sslmode=verify-full&sslrootcert={PATH}&options=-c%20role={role}"
    )
