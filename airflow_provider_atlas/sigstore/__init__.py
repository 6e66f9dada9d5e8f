"""Sigstore's spelling of our records, for tools that know Sigstore and nothing of Atlas."""
