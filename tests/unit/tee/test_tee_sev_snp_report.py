"""The layout of an SNP report, on reports that silicon made, and those of the simulator."""

from dataclasses import replace

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.simulation.guest import guest_of, tcb_of
from airflow_provider_atlas.tee.sev_snp.tcb import components, layout, product_of_cpuid
from tests.support.simulated_snp import real

REAL = ["snp_milan", "snp_milan_debug", "snp_azure_other_chip"]


@pytest.mark.parametrize("name", REAL)
def test_a_real_report_has_one_spelling(name: str):
    data = real(name).quote
    report = SnpReport.parse(data)
    assert report.to_bytes() == data
    assert report.signed_bytes() == data[:0x2A0]
    assert (report.version, report.signing_key, report.vmpl, report.product) == (2, "VCEK", 0, None)


def test_a_real_report_says_what_is_in_it():
    report = SnpReport.parse(real("snp_milan").quote)
    assert report.chip_id.hex().startswith("d49554ec717f4e5b")
    assert components(report.reported_tcb, "Milan") == {"bl": 3, "tee": 0, "snp": 8, "ucode": 115}
    assert (report.current_firmware, report.committed_firmware) == (bytes((4, 52, 1)), bytes((4, 52, 1)))
    assert (report.debug, report.migratable, report.author_key_en, report.chip_id_masked) == (False,) * 4


def test_a_real_debug_guest_says_so():
    assert SnpReport.parse(real("snp_milan_debug").quote).debug


@pytest.mark.parametrize(
    ("at", "size", "name"),
    [
        (0x000, 4, "version"),
        (0x004, 4, "guest_svn"),
        (0x008, 8, "policy"),
        (0x010, 16, "family_id"),
        (0x020, 16, "image_id"),
        (0x030, 4, "vmpl"),
        (0x034, 4, "signature_algo"),
        (0x038, 8, "current_tcb"),
        (0x040, 8, "platform_info"),
        (0x048, 4, "flags"),
        (0x050, 64, "report_data"),
        (0x090, 48, "measurement"),
        (0x0C0, 32, "host_data"),
        (0x0E0, 48, "id_key_digest"),
        (0x110, 48, "author_key_digest"),
        (0x140, 32, "report_id"),
        (0x160, 32, "report_id_ma"),
        (0x180, 8, "reported_tcb"),
        (0x188, 3, "cpuid"),
        (0x1A0, 64, "chip_id"),
        (0x1E0, 8, "committed_tcb"),
        (0x1E8, 3, "current_firmware"),
        (0x1EC, 3, "committed_firmware"),
        (0x1F0, 8, "launch_tcb"),
        (0x1F8, 8, "launch_mit_vector"),
        (0x200, 8, "current_mit_vector"),
        (0x2A0, 48, "signature_r"),
        (0x2E8, 48, "signature_s"),
    ],
)
def test_each_field_is_where_the_specification_has_it(at: int, size: int, name: str):
    report = replace(guest_of("Turin", version=5), signature_r=3, signature_s=4)
    value = getattr(report, name)
    octets = report.to_bytes()[at : at + size]
    assert octets == (value if isinstance(value, bytes) else value.to_bytes(size, "little"))
    distinct = replace(report, **{name: b"\x5a" * size if isinstance(value, bytes) else 0x5A})
    changed = [
        index
        for index, pair in enumerate(zip(distinct.to_bytes(), report.to_bytes(), strict=True))
        if len(set(pair)) > 1
    ]
    assert changed
    assert at <= min(changed) <= max(changed) < at + size


@pytest.mark.parametrize(
    ("version", "at"),
    [
        (2, 0x188),
        (2, 0x18A),
        (2, 0x18B),
        (3, 0x18B),
        (5, 0x19F),
        (3, 0x1F8),
        (3, 0x200),
        (5, 0x208),
        (5, 0x29F),
        (5, 0x4C),
    ],
)
def test_what_a_version_does_not_define_is_zero(version: int, at: int):
    data = bytearray(guest_of("Genoa", version=version).to_bytes())
    data[at] |= 0x80
    with pytest.raises(MalformedError, match="expected zeros where"):
        SnpReport.parse(bytes(data))


@pytest.mark.parametrize(
    ("family", "model", "product"),
    [
        (0x19, 0x00, "Milan"),
        (0x19, 0x0F, "Milan"),
        (0x19, 0x10, "Genoa"),
        (0x19, 0x1F, "Genoa"),
        (0x19, 0x20, None),
        (0x19, 0x9F, None),
        (0x19, 0xA0, "Genoa"),
        (0x19, 0xAF, "Genoa"),
        (0x19, 0xB0, None),
        (0x1A, 0x00, "Turin"),
        (0x1A, 0x11, "Turin"),
        (0x1A, 0x12, None),
        (0x17, 0x01, None),
    ],
)
def test_a_processor_is_of_the_line_that_its_cpuid_says(family: int, model: int, product: str | None):
    assert product_of_cpuid(family, model) == product


def test_turin_lays_its_tcb_out_anew():
    tcb = bytes(range(1, 9))
    assert components(tcb, "Genoa") == {"bl": 1, "tee": 2, "snp": 7, "ucode": 8}
    assert components(tcb, "Turin") == {"fmc": 1, "bl": 2, "tee": 3, "snp": 4, "ucode": 8}
    assert len(layout("Turin")) == len(tcb_of("Turin")) == 8
