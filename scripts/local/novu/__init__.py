"""A local Novu: the trigger endpoint, which ignores a transactionId that it has seen, and what was delivered."""
