"""Stands for the external-secrets operator and the reloader: real reconcile loops over the same custom resources.

- `templates`: the part of the operator's templates that this platform uses.
- `store`: reads AWS Secrets Manager as a SecretStore of provider ``aws`` says.
- `reconcile`: one ExternalSecret to one Secret, and its status.
- `reloader`: restarts the workloads that read a Secret which changed.
"""
