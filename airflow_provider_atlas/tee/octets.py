"""A reader of little-endian structures, as Intel and AMD lay them out: every octet is taken once, and none is left."""

from airflow_provider_atlas.errors import MalformedError


class Octets:
    """The octets of one structure, taken from the front.

    Every method raises MalformedError that names ``what`` when there are too few octets, or too many.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` octets."""
        end = self._at + size
        if end > len(self._data):
            raise MalformedError(f"expected {self._what} to have at least {end} bytes, not {len(self._data)}")
        octets = self._data[self._at : end]
        self._at = end
        return octets

    def integer(self, size: int) -> int:
        """Return the next ``size`` octets as an unsigned little-endian integer."""
        return int.from_bytes(self.take(size), "little")

    def expect(self, value: int, size: int, name: str) -> None:
        """Take an integer that must be ``value``."""
        if self.integer(size) != value:
            raise MalformedError(f"expected the {name} of {self._what} to be {value}")

    @property
    def left(self) -> int:
        """How many octets nobody took yet."""
        return len(self._data) - self._at

    def ahead(self, size: int) -> bytes:
        """Return the next ``size`` octets, or as many as there are, and leave them."""
        return self._data[self._at : self._at + size]

    def rest(self) -> bytes:
        """Return all octets that are left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Refuse octets that nobody took: nothing would vouch for them."""
        if self._at != len(self._data):
            raise MalformedError(f"expected {self._what} to have {self._at} bytes, not {len(self._data)}")
