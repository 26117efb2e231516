"""Booking: events, ticket types, holds, orders and tickets; the owner of capacity."""
