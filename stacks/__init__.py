"""The platform's environments, composed in layers: foundation, cluster, data, services."""
