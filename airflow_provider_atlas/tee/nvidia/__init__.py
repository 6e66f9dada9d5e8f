"""NVIDIA GPUs: the layout of their attestation reports."""
