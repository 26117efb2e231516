"""The processes of booking: api, worker, relay, migrate."""
