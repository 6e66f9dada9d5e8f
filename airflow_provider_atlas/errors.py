"""The error hierarchy, drawn. Its branches are the reactions, which is why it exists.

::

    AtlasError
    ├── ConfigError            the operator must change a setting or an argument     → exit 2, never retry
    ├── MalformedError         bytes that are not in the format they claim           → never retry
    ├── MissingError           something that the answer needs is not there          → exit 3, cannot decide
    ├── AttestingError         the evidence could not be made                        → spool, retry, or (enforce) fail
    │   ├── CaptureError       an artifact could not be read, or changed while it was
    │   ├── AttesterError      the TEE gave no quote
    │   ├── SigningError       the key or its service refused
    │   ├── LogError           the log was away, or refused the entry
    │   ├── TimestampError     the time-stamp authority was away, or did not stamp what it was asked to
    │   └── ArchiveError       the archive could not keep, or give back, a record
    └── VerificationError      the evidence was made, and is wrong                   → exit 1, never retry
        ├── SignatureError     envelope, note or quote signature
        ├── StatementError     documents of one record that contradict one another
        ├── BindingError       a quote for another statement or key
        ├── AppraisalError     a measurement that is not a reference value
        ├── InclusionError     a receipt that does not lead to its checkpoint
        ├── ConsistencyError   two checkpoints that cannot both be true
        └── MismatchError      an artifact, or a link, that is not the one attested

Messages say what was expected, in lower case and without a full stop, and hold no secret and no whole payload.
"""


class AtlasError(Exception):
    """Everything this package raises on purpose."""


class ConfigError(AtlasError):
    """The operator must change a setting or an argument."""


class MalformedError(AtlasError):
    """Bytes that are not in the format they claim. All a caller can use is that fact."""


class MissingError(AtlasError):
    """Something that the answer needs is not there, so there is no answer."""


class AttestingError(AtlasError):
    """The evidence could not be made."""


class CaptureError(AttestingError):
    """An artifact could not be read, or changed while it was read."""


class AttesterError(AttestingError):
    """The TEE gave no quote."""


class SigningError(AttestingError):
    """The key, or the service that keeps it, refused."""


class LogError(AttestingError):
    """The transparency log was away, or refused the entry."""


class TimestampError(AttestingError):
    """The time-stamp authority was away, or did not stamp what it was asked to."""


class ArchiveError(AttestingError):
    """The archive could not keep, or give back, a record."""


class VerificationError(AtlasError):
    """The evidence was made, and is wrong.

    ``code`` says why to machines, where whoever raised it knew more than its class says; else it is empty.
    """

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class SignatureError(VerificationError):
    """A signature over an envelope, a note or a quote does not verify."""


class StatementError(VerificationError):
    """Documents of one record contradict one another."""


class BindingError(VerificationError):
    """A quote that was made for another statement, key, nonce or beacon."""


class AppraisalError(VerificationError):
    """A measurement that is not a reference value."""


class InclusionError(VerificationError):
    """A receipt that does not lead to its checkpoint."""


class ConsistencyError(VerificationError):
    """Two checkpoints of one log that cannot both be true."""


class MismatchError(VerificationError):
    """An artifact, or a link between tasks, that is not the one attested."""
