"""TPM 2.0: the structures of its quotes, and the evidence made of them."""
