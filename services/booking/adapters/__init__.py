"""What booking uses: PostgreSQL."""
