"""The way to the environment's cluster: the current context of kubectl."""

from __future__ import annotations

import os

from kubernetes import client, config


def connected() -> client.ApiClient:
    """A client. The variable is read here, because the library reads it when it is imported. Raises ConfigException."""
    return config.new_client_from_config(os.environ.get("KUBECONFIG"))
