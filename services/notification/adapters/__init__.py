"""What notification uses: PostgreSQL and Novu."""
