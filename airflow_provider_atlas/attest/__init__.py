"""VERB: make evidence. Never imports ``verify``."""
