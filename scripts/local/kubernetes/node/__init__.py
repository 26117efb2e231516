"""The local node: runs the pods bound to it as processes, each exactly as declared.

`agent` holds it together; `pod` is the life of one pod, `container` of one container; `sandbox` and `enter` make the
process's private view of the file system; `proxy` and `hosts` make Services reachable and resolvable; `kubelet_api`
serves logs to the API server; `identity` hands out AWS credentials as EKS Pod Identity does.
"""
