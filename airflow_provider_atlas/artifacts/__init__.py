"""WHAT went in and came out: digests, manifests of many files, and the seams to where bytes live."""
