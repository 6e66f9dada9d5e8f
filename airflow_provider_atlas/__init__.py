"""Attested execution for Apache Airflow: every task's work captured, quoted, signed, logged and verifiable.

The folder list is the sentence: *artifacts* are attested by a *signer* inside a *TEE*, put in a *tlog*, and
verified. ``attest`` makes evidence, ``verify`` judges it, and an ``AttestationBundle`` is all that passes between
them. Only ``airflow``, ``operators`` and ``decorators`` import Airflow: an auditor verifies without it.
"""

__version__ = "0.1.0"
