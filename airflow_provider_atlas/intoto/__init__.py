"""VOCABULARY: how things are named and stated, in in-toto's own words. Pure values; no I/O."""
