"""Where private keys live. Reached through ``wiring`` alone."""
