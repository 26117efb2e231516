"""Payment: authorisations, captures and refunds of orders, through Stripe."""
