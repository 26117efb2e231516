"""A local Stripe: PaymentIntents and refunds as the API documents them, with faults on request.

It honours idempotency keys (the same key and body get the first answer, another body is refused), charges and then
drops the answer, and duplicates and reorders signed webhooks: what the published fakes do not do.
"""
