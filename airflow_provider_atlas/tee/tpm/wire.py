"""A reader of TPM structures: big-endian, with sized buffers (TPM2B).

See: TCG TPM 2.0 Library, part 2 (Structures), 10.4.
"""

from airflow_provider_atlas.tee.octets import Octets


class TpmOctets(Octets):
    """The octets of one TPM structure, taken from the front, as ``Octets`` takes them."""

    def integer(self, size: int) -> int:
        """Return the next ``size`` octets as an unsigned big-endian integer."""
        return int.from_bytes(self.take(size), "big")

    def sized(self) -> bytes:
        """Return the content of the next sized buffer (TPM2B): its length in two octets, then so many."""
        return self.take(self.integer(2))


def sized(content: bytes) -> bytes:
    """Return ``content`` as a sized buffer (TPM2B)."""
    return len(content).to_bytes(2, "big") + content
