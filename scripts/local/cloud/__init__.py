"""The simulated cloud: one process that answers the engine (providers over gRPC) and boto3 (moto over HTTP)."""
