"""The processes of payment: api (webhooks), worker, relay, migrate."""
