"""The simulated guest. Its measurements are fixed, so that they can stand in a policy: nothing was measured.

``measurement`` is ``SHA-384("airflow-provider-atlas simulated SEV-SNP: measurement")``; what a host or an image's
signer may set (``host_data``, ``id_key_digest``, ``author_key_digest``) is zero, as on most clouds.
"""

import hashlib
from collections.abc import Mapping

from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.tcb import Product, layout

_PREFIX = b"airflow-provider-atlas simulated SEV-SNP: "
_POLICY = 1 << 17 | 1 << 16  # the bit that is always set, and SMT allowed; not DEBUG, not MIGRATE_MA
_PLATFORM_INFO = 1 << 0 | 1 << 2 | 1 << 5  # SMT, ECC, and the check for aliased memory is done
_FIRMWARE = bytes((21, 55, 1))  # build, minor, major
_CPUID: Mapping[Product, bytes] = {
    "Milan": bytes((0x19, 0x01, 0x01)),
    "Genoa": bytes((0x19, 0x11, 0x01)),
    "Turin": bytes((0x1A, 0x02, 0x01)),
}
_SVN: Mapping[Product, Mapping[str, int]] = {
    "Milan": {"bl": 4, "tee": 0, "snp": 24, "ucode": 219},
    "Genoa": {"bl": 10, "tee": 0, "snp": 24, "ucode": 84},
    "Turin": {"fmc": 1, "bl": 1, "tee": 1, "snp": 4, "ucode": 71},
}


def tcb_of(product: Product) -> bytes:
    """Return the TCB_VERSION of the simulated platform of this line, 8 bytes."""
    return bytes(_SVN[product].get(name, 0) for name in layout(product))


def guest_of(product: Product, *, version: int = 3) -> SnpReport:
    """Return the report of the simulated guest in the form of ``version``, before it says anything; not signed."""
    tcb = tcb_of(product)
    return SnpReport(
        version=version,
        guest_svn=0,
        policy=_POLICY,
        family_id=bytes(16),
        image_id=bytes(16),
        vmpl=0,
        signature_algo=1,
        current_tcb=tcb,
        platform_info=_PLATFORM_INFO,
        flags=0,
        report_data=bytes(64),
        measurement=hashlib.sha384(_PREFIX + b"measurement").digest(),
        host_data=bytes(32),
        id_key_digest=bytes(48),
        author_key_digest=bytes(48),
        report_id=hashlib.sha256(_PREFIX + b"report_id").digest(),
        report_id_ma=b"\xff" * 32,
        reported_tcb=tcb,
        cpuid=_CPUID[product] if version >= 3 else bytes(3),
        chip_id=bytes(64),
        committed_tcb=tcb,
        current_firmware=_FIRMWARE,
        committed_firmware=_FIRMWARE,
        launch_tcb=tcb,
        launch_mit_vector=1 if version >= 5 else 0,
        current_mit_vector=1 if version >= 5 else 0,
        signature_r=0,
        signature_s=0,
    )
