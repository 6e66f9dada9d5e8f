"""What issues and judges quotes. Reached through ``wiring`` alone."""
