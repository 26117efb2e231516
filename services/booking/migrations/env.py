"""Alembic's entry point for booking."""

from services.common.migrations import environment

environment()
