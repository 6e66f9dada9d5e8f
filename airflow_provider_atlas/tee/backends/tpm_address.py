"""Where a TPM is, which of its keys quotes, and over which PCRs: what follows ``tpm:`` in the setting ``attester``.

::

    tpm:                                         /dev/tpmrm0, the key 0x81010002, PCRs 0 to 9 and 11 to 15
    tpm:device:/dev/tpm0?ak=0x81010003&pcrs=0-7
    tpm:swtpm:host=127.0.0.1,port=2321           an emulator: its evidence calls itself simulated

The part before the question mark is a TCTI, as TPM tools name a connection. PCR 10 is left out unless asked for: where
the kernel measures files (IMA), it changes with each program that starts, so also while it is being read.
See: TCG TPM 2.0 TSS TAB and Resource Manager; tpm2-tools, ``man/common/tcti.md``.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tee.tpm.structures import PCR_COUNT

DEFAULT_DEVICE = "/dev/tpmrm0"
"""The device of Linux's resource manager, which lets many processes use one TPM."""

DEFAULT_AK = 0x81010002
"""The persistent handle under which TPM tools keep an attestation key, by their own examples."""

DEFAULT_PCRS = (*range(10), *range(11, 16))
"""The registers that only a reset of the machine resets, less the one that changes all the time."""

_DEVICE = re.compile(r"device:(/[\w./-]+)\Z", re.ASCII)
_EMULATOR = re.compile(r"(?:swtpm|mssim):(?:host=[\w.:-]+,port=\d{1,5}|path=/[\w./-]+)\Z", re.ASCII)
_HANDLE = re.compile(r"0x81[0-9a-fA-F]{6}\Z", re.ASCII)
_RANGE = re.compile(r"(\d{1,2})(?:-(\d{1,2}))?\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmAddress:
    """A TPM (``tcti``), the persistent handle of its attestation key, and the PCRs to quote, ascending.

    ``options`` are the parameters that are not the TPM's own.
    """

    tcti: str
    ak: int
    pcrs: tuple[int, ...]
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(
        cls, text: str, *, ak: int = DEFAULT_AK, pcrs: tuple[int, ...] = DEFAULT_PCRS, options: tuple[str, ...] = ()
    ) -> "TpmAddress":
        """Return the address that ``text``, what follows the scheme, spells; with these defaults.

        ``options`` are the names of further parameters that it may have. Raises ConfigError otherwise.
        """
        tcti, _, query = text.partition("?")
        tcti = tcti or f"device:{DEFAULT_DEVICE}"
        if not _DEVICE.match(tcti) and not _EMULATOR.match(tcti):
            # Others exist that run a command or load a library.
            raise ConfigError(f"expected a TPM at device:/a/path or swtpm:host=…,port=…, not {tcti!r}")
        given = _parameters(query, ("ak", "pcrs", *options))
        return cls(
            tcti=tcti,
            ak=_handle(given.pop("ak")) if "ak" in given else ak,
            pcrs=_registers(given.pop("pcrs")) if "pcrs" in given else pcrs,
            options=tuple(given.items()),
        )

    @property
    def device(self) -> str | None:
        """The path of the TPM's device; None for an emulator."""
        found = _DEVICE.match(self.tcti)
        return found and found.group(1)

    def option(self, name: str) -> str | None:
        """Return the further parameter ``name``, or None when it was not given."""
        return dict(self.options).get(name)


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError as error:
        raise ConfigError(f"expected parameters of a TPM as name=value&name=value, not {query!r}") from error
    given = dict(pairs)
    if len(given) != len(pairs) or not set(given) <= set(known):
        raise ConfigError(f"expected each parameter of a TPM once, of {', '.join(known)}, not {query!r}")
    return given


def _handle(text: str) -> int:
    if not _HANDLE.match(text):
        raise ConfigError(f"expected ak to be a persistent handle such as {DEFAULT_AK:#x}, not {text!r}")
    return int(text, 16)


def _registers(text: str) -> tuple[int, ...]:
    chosen: set[int] = set()
    for part in text.split(","):
        found = _RANGE.match(part)
        if not found:
            raise ConfigError(f"expected pcrs as numbers and ranges, such as 0-7,14, not {text!r}")
        first = int(found.group(1))
        chosen.update(range(first, int(found.group(2) or first) + 1))
    if not chosen or max(chosen) >= PCR_COUNT:
        raise ConfigError(f"expected pcrs to be numbers below {PCR_COUNT}, not {text!r}")
    return tuple(sorted(chosen))
