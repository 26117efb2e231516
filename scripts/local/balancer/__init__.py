"""The load balancer of the local platform: a real HAProxy that does what the listener in the simulated AWS says.

- `rules`: what ELBv2 says of a listener: conditions, transforms, actions.
- `configuration`: HAProxy's files out of that: pure functions.
- `haproxy`: the server, and its socket, by which weights and targets change without a reload.
- `targets`: what stands for AWS's Load Balancer Controller: pods of bound Services.
- `counts`: HAProxy's log, as metrics of CloudWatch.
- `loop`: reads all of them, and keeps HAProxy, ELBv2 and CloudWatch at what is so.
"""
