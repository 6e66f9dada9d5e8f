"""What Azure's paravisor says at boot: the TPM's attestation key and the guest's configuration, as JSON.

::

    {"keys": [{"kid": "HCLAkPub", "kty": "RSA", "n": base64url, "e": base64url, …}, …],
     "vm-configuration": {"secure-boot": true, "console-enabled": true, "vmUniqueId": …, …}, …}

The report data of the hardware report is the SHA-256 of these bytes, and zeros. So they are kept as they came.
See: https://learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, parse_json, sha256_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.evidence import Fact
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey

_MAX_SIZE = 8 * 1024
_AK = "HCLAkPub"


@dataclass(frozen=True, slots=True)
class RuntimeData:
    """The runtime data of one boot, ``content``: JSON of which the members that matter can be read."""

    content: bytes

    @classmethod
    def parse(cls, content: bytes) -> "RuntimeData":
        """Return the runtime data in ``content``. Raises MalformedError when that names no key, or no configuration."""
        if len(content) > _MAX_SIZE:
            raise MalformedError(f"expected runtime data of at most {_MAX_SIZE} bytes")
        runtime = cls(content)
        runtime.attestation_key()
        runtime.facts()
        return runtime

    def check(self, report_data: bytes) -> None:
        """Return when ``report_data``, 64 bytes that silicon vouches for, commits to this runtime data.

        Raises SignatureError otherwise.
        """
        if not hmac.compare_digest(report_data, self.report_data()):
            raise SignatureError("expected a hardware report that commits to the runtime data beside it")

    def report_data(self) -> bytes:
        """Return the 64 bytes by which a hardware report commits to this runtime data."""
        return hashlib.sha256(self.content).digest() + bytes(32)

    def attestation_key(self) -> AttestationKey:
        """Return the TPM's attestation key. Raises MalformedError unless there is one."""
        keys = [Fields(key, "a key of the runtime data") for key in self._fields().items("keys")]
        found = [key for key in keys if key.text("kid") == _AK]
        if len(found) != 1:
            raise MalformedError(f"expected one key {_AK} in the runtime data")
        found[0].one_of("kty", "RSA")
        return AttestationKey.of_rsa(_number(found[0], "n"), _number(found[0], "e"))

    def facts(self) -> Mapping[str, Fact]:
        """Return what the paravisor says of the guest. Its name, which is for ever, is there as its SHA-256 alone."""
        configuration = self._fields().fields("vm-configuration")
        return {
            "secure_boot": configuration.boolean("secure-boot"),
            "console_enabled": configuration.boolean("console-enabled"),
            "vm_id_sha256": sha256_hex(configuration.text("vmUniqueId").encode()),
        }

    def _fields(self) -> Fields:
        return Fields(parse_json(self.content), "the runtime data")


def _number(key: Fields, name: str) -> int:
    text = key.text(name)
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"expected {name!r} of the attestation key in base64url") from error
