"""Confidential Containers: what the attestation agent inside a guest answers."""
