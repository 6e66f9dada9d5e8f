"""VERB: judge evidence. Never imports ``attest``."""
