"""Measurements, each as a ratio to a floor that the same run measured on the same machine."""
