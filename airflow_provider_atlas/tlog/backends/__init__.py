"""Transparency logs that can be appended to. Reached through ``wiring`` alone."""
