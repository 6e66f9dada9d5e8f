"""AMD SEV-SNP: the layout of its attestation reports, and the certificates that vouch for them."""
