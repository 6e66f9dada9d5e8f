"""The verifier of SNP reports: what it claims, and which reaction each refusal asks for."""

import hashlib
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, PKIX_CRL, Claims, Endorsements, Evidence
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.tcb import Product
from tests.support.simulated_snp import AT, CLOUD, REPORT_DATA, SnpVendor, evidence, real, vendor

THEN = datetime(2024, 6, 1, tzinfo=UTC)
AMD_MILAN = "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"
KINDS = [(product, version, vlek) for product in ("Milan", "Genoa") for version in (2, 3, 5) for vlek in (False, True)]
KINDS += [("Turin", version, vlek) for version in (3, 5) for vlek in (False, True)]


def verify(shown: Evidence, at: datetime = THEN) -> Claims:
    return SevSnpVerifier().verify(shown, development_roots=(), at=at)


def test_a_real_report_is_genuine():
    claims = verify(real("snp_milan"))
    assert (claims.tee, claims.development, claims.root_sha256, claims.debug) == ("sev-snp", False, AMD_MILAN, False)
    assert (claims.tcb_status, claims.advisory_ids) == (None, ())
    assert claims.report_data.hex().startswith("d447b55d197491bf")
    assert claims.measurements["measurement"].startswith("7a1e5c266c0108db")
    assert claims.measurements["host_data"] == "00" * 32


def test_a_real_report_says_what_a_policy_may_ask_for():
    facts = verify(real("snp_milan")).facts
    tcb = {"bl": 3, "tee": 0, "snp": 8, "ucode": 115}
    names = ("reported_tcb", "committed_tcb", "current_tcb", "launch_tcb")
    chip = SnpReport.parse(real("snp_milan").quote).chip_id
    assert facts == {
        "report_version": 2,
        "guest_svn": 0,
        "policy": 0x30000,
        "vmpl": 0,
        "debug": False,
        "migratable": False,
        "author_key_en": False,
        "product": "Milan",
        "platform_info": 1,
        "flags": 0,
        "signing_key": "VCEK",
        "chip_id_masked": False,
        "chip_id_sha256": hashlib.sha256(chip).hexdigest(),
        "launch_mit_vector": 0,
        "current_mit_vector": 0,
        "crl": "absent",
        **{f"{name}.{component}": svn for name in names for component, svn in tcb.items()},
    }


def test_a_real_debug_guest_is_refused_though_its_report_is_genuine():
    with pytest.raises(SignatureError, match="host cannot debug"):
        verify(real("snp_milan_debug"))


@pytest.mark.parametrize(
    ("report", "chain"), [("snp_azure_other_chip", ""), ("snp_milan", "snp_milan_debug"), ("snp_milan", "snp_turin")]
)
def test_a_real_report_under_another_chips_real_key_is_refused(report: str, chain: str):
    at = datetime(2025, 6, 1, tzinfo=UTC)  # all of these certificates are valid
    with pytest.raises(SignatureError, match="expected the VCEK to have signed"):
        verify(real(report, chain), at)


@pytest.mark.parametrize("at", [datetime(2023, 4, 3, tzinfo=UTC), datetime(2030, 4, 4, tzinfo=UTC)])
def test_a_real_report_is_not_genuine_outside_its_keys_time(at: datetime):
    with pytest.raises(SignatureError, match="expected SEV-VCEK to be valid at"):
        verify(real("snp_milan"), at)


@pytest.mark.parametrize(("product", "version", "vlek"), KINDS)
def test_every_kind_of_simulated_report_is_genuine(product: Product, version: int, vlek: bool):
    simulated = vendor(product, version=version, vlek=vlek)
    claims = simulated.verify(simulated.guest())
    assert (claims.report_data, claims.development, claims.root_sha256) == (REPORT_DATA, True, simulated.root_sha256)
    facts = claims.facts
    assert (facts["product"], facts["report_version"]) == (product, version)
    assert (facts["signing_key"], facts.get("csp_id")) == (("VLEK", CLOUD) if vlek else ("VCEK", None))
    assert ("reported_tcb.fmc" in facts) == (product == "Turin")
    assert facts["chip_id_masked"] == vlek == ("chip_id_sha256" not in facts)
    assert (facts["crl"], facts["crl_number"]) == ("checked", 4)


def test_without_a_revocation_list_the_claims_say_so():
    simulated = vendor()
    claims = simulated.verify(evidence(simulated.report(), simulated.authority.chain()))
    assert claims.facts["crl"] == "absent"
    assert "crl_number" not in claims.facts


def test_the_hosts_and_the_authors_words_are_claimed():
    simulated = vendor("Turin", version=5)
    claims = simulated.verify(
        simulated.guest(
            host_data=b"\1" * 32,
            id_key_digest=b"\2" * 48,
            author_key_digest=b"\3" * 48,
            family_id=b"\4" * 16,
            image_id=b"\5" * 16,
            report_id=b"\6" * 32,
            flags=1,
            vmpl=1,
            guest_svn=7,
            launch_mit_vector=3,
            current_mit_vector=1 << 63,
        )
    )
    assert claims.measurements["host_data"] == "01" * 32
    assert claims.measurements["id_key_digest"] == "02" * 48
    assert claims.measurements["author_key_digest"] == "03" * 48
    assert claims.measurements["family_id"] == "04" * 16
    assert claims.measurements["image_id"] == "05" * 16
    assert claims.measurements["report_id"] == "06" * 32
    told = {name: claims.facts[name] for name in ("author_key_en", "vmpl", "guest_svn", "launch_mit_vector")}
    assert told == {"author_key_en": True, "vmpl": 1, "guest_svn": 7, "launch_mit_vector": 3}
    assert claims.facts["current_mit_vector"] == 1 << 63


@pytest.mark.parametrize("name", ["reported_tcb", "committed_tcb", "current_tcb", "launch_tcb"])
def test_each_tcb_is_told_by_its_own_name(name: str):
    simulated = vendor("Turin", version=5)
    tcb = bytes((9, 8, 7, 6, 0, 0, 0, 5))
    shown = evidence(
        simulated.report(**{name: tcb}),
        simulated.chain_with(leaf=simulated.leaf(tcb=tcb if name == "reported_tcb" else None)),
    )
    told = {key.removeprefix(f"{name}."): svn for key, svn in simulated.verify(shown).facts.items() if name in key}
    assert told == {"fmc": 9, "bl": 8, "tee": 7, "snp": 6, "ucode": 5}


@pytest.mark.parametrize("spelling", [b"", b"\x04\x40"])
def test_a_chip_may_be_spelled_bare_or_as_an_octet_string(spelling: bytes):
    simulated = vendor("Milan")
    assert simulated.verify(simulated.with_leaf(hwid=spelling + simulated.authority.chip_id))


@pytest.mark.parametrize("spelling", [b"", b"\x04\x08"])
def test_a_turin_chip_has_eight_bytes_in_either_spelling(spelling: bytes):
    simulated = vendor("Turin")
    assert simulated.verify(simulated.with_leaf(hwid=spelling + simulated.authority.chip_id[:8]))


def test_a_masked_chip_is_any_of_the_vendors():
    simulated = vendor()
    claims = simulated.verify(simulated.guest(chip_id=bytes(64)))
    assert claims.facts["chip_id_masked"] is True
    assert "chip_id_sha256" not in claims.facts


def test_the_other_of_the_two_signatures_is_genuine_too():
    # ECDSA is malleable, and AMD's firmware does not choose. So the bytes of a report identify nothing.
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
    simulated = vendor()
    told = SnpReport.parse(simulated.report())
    other = replace(told, signature_s=order - told.signature_s).to_bytes()
    assert other != told.to_bytes()
    assert simulated.verify(simulated.evidence(other)) == simulated.verify(simulated.evidence(told.to_bytes()))


@pytest.mark.parametrize(
    "changed", [{"tee": "tdx"}, {"media_type": "application/vnd.intel.tdx.quote"}], ids=["tee", "media type"]
)
def test_evidence_of_another_kind_is_malformed(changed: dict[str, str]):
    with pytest.raises(MalformedError, match="tee 'sev-snp'"):
        vendor().verify(replace(vendor().guest(), **changed))  # type: ignore[arg-type]  # both are text


def test_a_chain_that_is_not_there_is_no_answer():
    with pytest.raises(MissingError, match="AMD's KDS has it"):
        vendor().verify(evidence(vendor().report(), None, vendor().crl))


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_chain_that_ends_early_is_no_answer(kept: int):
    certificates = parse_pem(vendor().authority.chain())[:kept]
    with pytest.raises(MissingError, match="to go on to ASK and ARK"):
        vendor().verify(evidence(vendor().report(), to_pem(*certificates)))


def test_a_chain_that_goes_on_is_malformed():
    chain = vendor().authority.chain()
    with pytest.raises(MalformedError, match="three certificates, not 4"):
        vendor().verify(evidence(vendor().report(), chain + to_pem(parse_pem(chain)[-1])))


@pytest.mark.parametrize("media_type", [PEM_CERTIFICATE_CHAIN, PKIX_CRL])
def test_two_answers_to_one_question_are_malformed(media_type: str):
    shown = vendor().guest()
    again = [one for one in shown.endorsements if one.media_type == media_type]
    with pytest.raises(MalformedError, match="one "):
        vendor().verify(replace(shown, endorsements=[*shown.endorsements, *again]))


def test_endorsements_of_other_kinds_are_passed_over():
    other = Endorsements(media_type="text/plain", content=b"hello")
    shown = vendor().guest()
    assert vendor().verify(replace(shown, endorsements=[other, *shown.endorsements]))


def test_a_vendors_root_is_good_for_its_own_product_alone():
    simulated = vendor()
    key = AmdCertificate.parse(parse_pem(simulated.authority.chain())[2]).key_sha256
    right, wrong = SevSnpVerifier({key: "Genoa"}), SevSnpVerifier({key: "Milan"})
    assert not right.verify(simulated.guest(), development_roots=(), at=AT).development
    with pytest.raises(SignatureError, match="expected the root of Genoa, not that of Milan"):
        wrong.verify(simulated.guest(), development_roots={simulated.root_sha256}, at=AT)


def test_no_warning_reaches_the_user():
    # Every VCEK of AMD's has the serial number zero, of which cryptography warns, and which it will one day refuse.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verify(real("snp_milan"))


def test_a_chain_seen_before_costs_one_signature():
    simulated = SnpVendor.create()
    shown = simulated.guest()
    simulated.verify(shown)
    began = time.process_time()
    for _ in range(50):
        simulated.verify(shown)
    assert (time.process_time() - began) / 50 < 0.02  # seconds; a tenth of it on a quiet machine
