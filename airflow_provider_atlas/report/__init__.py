"""What people read: every form is rendered from one VerificationReport."""
