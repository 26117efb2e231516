"""What the person on call sees, and practises."""
