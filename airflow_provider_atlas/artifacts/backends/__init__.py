"""Where artifacts and archives live. Reached through ``wiring`` alone."""
