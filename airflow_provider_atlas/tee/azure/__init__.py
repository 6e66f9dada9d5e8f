"""Azure's confidential VMs: what their paravisor says of its hardware, and of the TPM that it lends the guest."""
