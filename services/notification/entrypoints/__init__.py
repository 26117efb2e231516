"""The processes of notification: api, worker, consumer, migrate."""
