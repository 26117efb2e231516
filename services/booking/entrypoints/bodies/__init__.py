"""What the API of booking accepts and answers."""
