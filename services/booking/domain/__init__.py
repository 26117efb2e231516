"""The rules of booking, without any input or output."""
