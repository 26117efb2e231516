"""The whole platform on this machine: the real servers, the simulated cloud, Kubernetes, and the program that makes it.

- `layout`: where its files are, and which loopback addresses it has.
- `parts`: what runs, and how each part is started.
- `lifecycle`: up and down.
- `status`: what there is, where, and how it is.
"""
