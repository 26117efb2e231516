"""The real PostgreSQL, Redis and RabbitMQ, on loopback, with TLS, each in a folder of its own.

Each module offers ``create(folder, host, authority)``, which prepares configuration and data and returns a frozen
dataclass with the `Server` to start and its URLs, and ``running(folder, host)``, a context manager for tests.
"""
