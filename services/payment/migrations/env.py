"""Alembic's entry point for payment."""

from services.common.migrations import environment

environment()
