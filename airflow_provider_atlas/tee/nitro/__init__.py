"""AWS Nitro Enclaves: the documents that their hypervisor signs, and what the Nitro Security Module is asked."""
