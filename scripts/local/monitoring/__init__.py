"""How the local platform is watched: a real Prometheus, what configures it, and who judges the alarms of CloudWatch."""
