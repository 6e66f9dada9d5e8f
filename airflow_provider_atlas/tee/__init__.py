"""WHERE it ran: attesters, evidence, binding and appraisal, in the words of RATS (RFC 9334)."""
