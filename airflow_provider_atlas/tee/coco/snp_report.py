"""An SEV-SNP report as an attestation agent spells it: JSON with the fields' names in the crate ``sev``.

What the silicon signed are 1184 bytes, so they are put together again. Two generations of the names are in use::

    {…, "_author_key_en": 0, "current_tcb": {"bootloader": 3, "tee": 0, "snp": 14, "microcode": 213, …},
     "current_build": 8, "current_minor": 55, "current_major": 1, …}
    {…, "key_info": 0, "current_tcb": {"fmc": null, "bootloader": 9, …}, "cpuid_fam_id": 25, …,
     "current": {"major": 1, "minor": 55, "build": 39}, "launch_mit_vector": 0, …}

Where nothing is said, it is zero. If that is wrong the signature does not verify: nothing is believed here.
See: https://github.com/virtee/sev, ``src/firmware/guest/types/snp.rs``; SEV-SNP Firmware ABI Specification §7.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_atlas.encoding import Fields, Json, JsonObject
from airflow_provider_atlas.errors import MalformedError

_SIGNED_ZEROS = 152
_SIGNATURE_ZEROS = 368
_HALF_BYTES = 72


@dataclass(slots=True)
class _Report:
    """The bytes of a report so far, from the ``members`` of its JSON."""

    members: Mapping[str, Json]
    octets: bytearray = field(default_factory=bytearray)

    def number(self, size: int, *names: str) -> None:
        """Append the number that one of ``names`` has, or zero."""
        self.octets += _number(next((self.members[name] for name in names if name in self.members), None), size)

    def array(self, name: str, size: int) -> None:
        """Append the ``size`` octets of ``name``."""
        self.octets += octets_of(self.members.get(name), size)

    def tcb(self, name: str) -> None:
        """Append a TCB version: Turin's, which have an FMC, are laid out otherwise."""
        tcb = self._object(name)
        parts = [_number(tcb.get(part), 1) for part in ("bootloader", "tee", "snp", "microcode")]
        bootloader, tee, snp, microcode = parts
        if tcb.get("fmc") is None:
            self.octets += bootloader + tee + bytes(4) + snp + microcode
        else:
            self.octets += _number(tcb["fmc"], 1) + bootloader + tee + snp + bytes(3) + microcode

    def firmware(self, name: str) -> None:
        """Append a firmware's version, which is one object or three numbers."""
        version = self.members.get(name)
        for part in ("build", "minor", "major"):
            value = version.get(part) if isinstance(version, Mapping) else self.members.get(f"{name}_{part}")
            self.octets += _number(value, 1)
        self.octets += bytes(1)

    def _object(self, name: str) -> JsonObject:
        return Fields(self.members, "the attestation agent's SNP report").object(name)


def report_of(members: JsonObject) -> bytes:
    """Return the 1184 bytes of the report whose JSON has ``members``. Raises MalformedError when it is none."""
    report = _Report(members)
    report.number(4, "version")
    report.number(4, "guest_svn")
    report.number(8, "policy")
    report.array("family_id", 16)
    report.array("image_id", 16)
    report.number(4, "vmpl")
    report.number(4, "sig_algo")
    report.tcb("current_tcb")
    report.number(8, "plat_info")
    report.number(4, "key_info", "_author_key_en", "author_key_en")
    report.octets += bytes(4)
    for name, size in (("report_data", 64), ("measurement", 48), ("host_data", 32)):
        report.array(name, size)
    for name, size in (("id_key_digest", 48), ("author_key_digest", 48), ("report_id", 32), ("report_id_ma", 32)):
        report.array(name, size)
    _append_platform(report)
    _append_signature(report)
    return bytes(report.octets)


def octets_of(value: Json, size: int | None) -> bytes:
    """Return the octets that the array ``value`` holds, ``size`` of them if given. Raises MalformedError otherwise."""
    if not isinstance(value, Sequence) or isinstance(value, str) or (size is not None and len(value) != size):
        raise MalformedError(f"expected an array of {'' if size is None else size} octets from the attestation agent")
    return b"".join(_number(octet, 1) for octet in value)


def _append_platform(report: _Report) -> None:
    report.tcb("reported_tcb")
    for name in ("cpuid_fam_id", "cpuid_mod_id", "cpuid_step"):
        report.number(1, name)
    report.octets += bytes(21)
    report.array("chip_id", 64)
    report.tcb("committed_tcb")
    report.firmware("current")
    report.firmware("committed")
    report.tcb("launch_tcb")
    report.number(8, "launch_mit_vector")
    report.number(8, "current_mit_vector")
    report.octets += bytes(_SIGNED_ZEROS)


def _append_signature(report: _Report) -> None:
    signature = Fields(report.members, "the attestation agent's SNP report").object("signature")
    for name in ("r", "s"):
        report.octets += octets_of(signature.get(name), _HALF_BYTES)
    report.octets += bytes(_SIGNATURE_ZEROS)


def _number(value: Json, size: int) -> bytes:
    """Return ``value`` in ``size`` little-endian octets; null is zero."""
    number = 0 if value is None else value
    if type(number) is not int or not 0 <= number < 1 << 8 * size:
        raise MalformedError(f"expected a number of {size} octets from the attestation agent")
    return number.to_bytes(size, "little")
