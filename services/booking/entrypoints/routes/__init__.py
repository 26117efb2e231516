"""The API of booking: requests to use cases, and their refusals to problems."""

from __future__ import annotations

from fastapi import APIRouter

from services.booking.entrypoints.routes import catalogue, doors, orders, people, sales, transfers, waiting

router = APIRouter()
for _part in (catalogue, sales, waiting, orders, transfers, doors, people):
    router.include_router(_part.router)
