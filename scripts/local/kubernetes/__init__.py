"""A real Kubernetes control plane on loopback, a local node that runs pods as processes, and the provider backend.

- `control_plane`: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with real TLS and RBAC.
- `node`: the agent that registers the node ``local`` and runs the pods bound to it.
- `external_secrets`: stands for the external-secrets operator and for the reloader.
- `crds`: the CustomResourceDefinitions of the charts that the platform installs, from their projects' own Go modules.
- `images`: an image is a folder, named by the digest of its content.
- `cluster`: what starts all of them; `status` says how they are.
- `provider`: the kubernetes provider of the simulated cloud, a thin layer over server-side apply.
"""
