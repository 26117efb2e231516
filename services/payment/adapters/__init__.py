"""What payment uses: PostgreSQL and Stripe."""
