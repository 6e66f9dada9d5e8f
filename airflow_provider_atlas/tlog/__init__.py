"""WHO ELSE saw it: notes, checkpoints, tiles, proofs and receipts, in the words of C2SP."""
