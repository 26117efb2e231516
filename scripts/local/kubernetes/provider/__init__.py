"""The kubernetes provider of the simulated cloud: Pulumi resources by server-side apply on the real local API server.

- `backend`: the provider's methods; `session`: requests from several threads over one event loop.
- `objects`: what an object is called and where it lives; `changes`: what differs, and what forces a replacement.
- `awaits`: when an object is as asked, and what to say when it is not in time.
- `releases`: Helm releases, which are recorded and not installed.
"""

from scripts.local.kubernetes.provider.backend import KubernetesBackend

__all__ = ["KubernetesBackend"]
