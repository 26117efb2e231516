"""Find or obtain what no Python package brings: the Pulumi engine, its Python host, Kubernetes, the servers."""
