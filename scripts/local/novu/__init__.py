"""A local Novu: workflows, triggers that ignore a transactionId seen before, signed webhooks, faults on request."""
