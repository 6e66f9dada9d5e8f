"""WHO says so: keys, signers and DSSE envelopes."""
