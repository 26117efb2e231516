"""A local Stripe: PaymentIntents, refunds, disputes and payouts as the API documents them, with faults on request.

It honours idempotency keys (the same key and body get the first answer, another body is refused), charges and then
drops the answer, and duplicates and reorders signed webhooks: what the published fakes do not do.

What people do elsewhere is a POST of JSON: `/_local/authenticate/{intent}` (the buyer; `outcome` may be `failed`),
`/_local/dispute/{intent}` and `/_local/end-dispute/{dispute}` (the bank; `status`), `/_local/end-refund/{refund}` and
`/_local/change-payout/{payout}`; `GET /_local/order/{order}` shows everything about an order.
"""
