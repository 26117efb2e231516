"""Images of the services: built the same everywhere, pushed with a bill of materials, signed, named by digest."""
