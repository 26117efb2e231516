"""What is Kubernetes' own among certificates: the key that signs tokens, and kubeconfig files."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from scripts.local.certificates import Pair, pem, write_private


def signing_key(path: Path) -> Path:
    """The RSA key that signs service account tokens (RS256, the only algorithm that every client library takes)."""
    if not path.exists():
        write_private(path, pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    return path


def kubeconfig(path: Path, server: str, authority: Path, client: Pair, *, user: str) -> Path:
    """Write a self-contained kubeconfig: certificates are embedded, so that its text can be a stack output."""

    def embedded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "local", "cluster": {"server": server, "certificate-authority-data": embedded(authority)}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": embedded(client.certificate),
                    "client-key-data": embedded(client.key),
                },
            }
        ],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
        "current-context": "local",
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode())
    return path
