"""What a TPM 2.0 signs when it quotes, and its signature. No signature is checked here.

Big-endian; ``TPM2B`` is a length in two bytes and so many bytes::

    TPMS_ATTEST   magic u32 = ff544347 · type u16 = 8018 (quote) · qualified signer TPM2B · extra data TPM2B
                  clock u64 · reset count u32 · restart count u32 · safe u8 · firmware version u64
                  selections u32 · { bank u16 · u8 size · bitmap[size] } · PCR digest TPM2B
    TPMT_SIGNATURE  scheme u16 · hash u16 · RSASSA, RSAPSS: TPM2B · ECDSA: r TPM2B · s TPM2B

A TPM puts ``magic`` before all that it signs with a restricted key of its own accord, and nobody else can have one sign
it. See: TCG TPM 2.0 Library, part 2 (Structures), 10.12.8 (TPMS_ATTEST), 11.3.4 (TPMT_SIGNATURE), 10.6 (PCR).
"""

from dataclasses import dataclass

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.tpm.wire import TpmOctets, sized

MAX_STRUCTURE_BYTES = 4096
"""More than any TPM can return in one response."""

PCR_COUNT = 24
"""Registers that the PC Client platform defines in each bank."""

_GENERATED = 0xFF544347
_ATTEST_QUOTE = 0x8018
_SHA256_BANK = 0x000B
_MAX_CLOCK = (1 << 53) - 1  # what JSON can spell
_HASHES = {0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512"}
_SCHEMES = {0x0014: "rsassa", 0x0016: "rsapss", 0x0018: "ecdsa"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmQuote:
    """What a TPM attests of some of its PCRs (TPMS_ATTEST), all of them in the SHA-256 bank.

    ``signer`` is the qualified name of the key; ``extra_data`` what the caller asked it to commit to. ``clock`` is in
    milliseconds and with ``reset_count`` and ``restart_count`` tells boots apart; ``safe`` is false when the clock may
    have gone back. ``bitmap`` has a bit for each register, lowest first, that ``pcr_digest`` was made of.
    """

    signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    bitmap: bytes
    pcr_digest: bytes

    @classmethod
    def parse(cls, data: bytes) -> "TpmQuote":
        """Return the quote in ``data``. Raises MalformedError for all else that a TPM, or anyone, might sign."""
        octets = _octets(data, "the TPM quote")
        octets.expect(_GENERATED, 4, "magic number")
        octets.expect(_ATTEST_QUOTE, 2, "type")
        signer, extra_data = octets.sized(), octets.sized()
        clock, reset_count, restart_count = octets.integer(8), octets.integer(4), octets.integer(4)
        safe, firmware_version = _boolean(octets), octets.integer(8)
        octets.expect(1, 4, "number of PCR banks")
        octets.expect(_SHA256_BANK, 2, "PCR bank (SHA-256)")
        bitmap, pcr_digest = octets.take(octets.integer(1)), octets.sized()
        octets.end()
        quote = cls(
            signer=signer,
            extra_data=extra_data,
            clock=clock,
            reset_count=reset_count,
            restart_count=restart_count,
            safe=safe,
            firmware_version=firmware_version,
            bitmap=bitmap,
            pcr_digest=pcr_digest,
        )
        if any(index >= PCR_COUNT for index in quote.selection):
            raise MalformedError(f"expected the TPM quote to select PCRs below {PCR_COUNT}")
        if clock > _MAX_CLOCK:
            raise MalformedError("expected the clock of a TPM that has run for less than 285 000 years")
        return quote

    def to_bytes(self) -> bytes:
        """Return this quote as the TPM signed it."""
        return b"".join(
            (
                _GENERATED.to_bytes(4, "big"),
                _ATTEST_QUOTE.to_bytes(2, "big"),
                sized(self.signer),
                sized(self.extra_data),
                self.clock.to_bytes(8, "big"),
                self.reset_count.to_bytes(4, "big"),
                self.restart_count.to_bytes(4, "big"),
                self.safe.to_bytes(1, "big"),
                self.firmware_version.to_bytes(8, "big"),
                (1).to_bytes(4, "big"),
                _SHA256_BANK.to_bytes(2, "big"),
                len(self.bitmap).to_bytes(1, "big"),
                self.bitmap,
                sized(self.pcr_digest),
            )
        )

    @property
    def selection(self) -> tuple[int, ...]:
        """The numbers of the PCRs that ``pcr_digest`` was made of, ascending."""
        return tuple(index for index in range(8 * len(self.bitmap)) if self.bitmap[index // 8] >> index % 8 & 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmSignature:
    """A TPM's signature (TPMT_SIGNATURE).

    ``scheme`` is ``rsassa``, ``rsapss`` or ``ecdsa``, ``hash_name`` ``sha256``, ``sha384`` or ``sha512``. ``values`` is
    the RSA signature, or r and s, big-endian.
    """

    scheme: str
    hash_name: str
    values: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> "TpmSignature":
        """Return the signature in ``data``. Raises MalformedError for any other scheme, SHA-1 included."""
        octets = _octets(data, "the TPM signature")
        scheme, hash_name = _SCHEMES.get(octets.integer(2)), _HASHES.get(octets.integer(2))
        if scheme is None or hash_name is None:
            raise MalformedError("expected a TPM signature by RSASSA, RSAPSS or ECDSA with SHA-256, SHA-384 or SHA-512")
        values = tuple(octets.sized() for _ in range(2 if scheme == "ecdsa" else 1))
        octets.end()
        return cls(scheme=scheme, hash_name=hash_name, values=values)

    def to_bytes(self) -> bytes:
        """Return this signature in the TPM's form."""
        algorithms = _number(_SCHEMES, self.scheme) + _number(_HASHES, self.hash_name)
        return algorithms + b"".join(map(sized, self.values))


def _octets(data: bytes, what: str) -> TpmOctets:
    if len(data) > MAX_STRUCTURE_BYTES:
        raise MalformedError(f"expected {what} to have at most {MAX_STRUCTURE_BYTES} bytes")
    return TpmOctets(data, what)


def _boolean(octets: TpmOctets) -> bool:
    value = octets.integer(1)
    if value > 1:
        raise MalformedError("expected a TPM boolean to be 0 or 1")
    return bool(value)


def _number(names: dict[int, str], wanted: str) -> bytes:
    return next(number for number, name in names.items() if name == wanted).to_bytes(2, "big")
