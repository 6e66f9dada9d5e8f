"""A policy that is made on a machine accepts that machine's evidence, and not that of one which booted otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tee.appraisal import appraise
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.tee.evidence import Claims, Evidence
from airflow_provider_atlas.verify.tee_policy import TeePolicy
from airflow_provider_atlas.wiring.references import reference_of
from tests.support.simulated_azure import AzureSnp
from tests.support.simulated_nitro import Hypervisor
from tests.support.simulated_tpm import SimulatedTpm

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Showing:
    """An attester of a machine that shows one piece of evidence."""

    shown: Evidence

    def attest(self, _: bytes) -> Evidence:
        return self.shown


def azure() -> tuple[Evidence, Claims]:
    machine = AzureSnp.create()
    return machine.show(), machine.verify(machine.show())


def nitro() -> tuple[Evidence, Claims]:
    machine = Hypervisor.create()
    shown = machine.show()
    return shown, machine.verify(shown)


def tpm() -> tuple[Evidence, Claims]:
    machine = SimulatedTpm.ecc()
    shown = machine.show(machine.signed())
    return shown, machine.verify(shown)


def tpm_of_chosen_registers() -> tuple[Evidence, Claims]:
    machine = SimulatedTpm.ecc()
    shown = machine.show(machine.signed({16: b"\x01" * 32, 23: b"\x02" * 32}))
    return shown, machine.verify(shown)


@pytest.mark.parametrize("machine", [azure, nitro, tpm, tpm_of_chosen_registers])
def test_it_accepts_the_machine_and_no_other_software_on_it(machine: Callable[[], tuple[Evidence, Claims]]):
    shown, claims = machine()
    entry = reference_of(Showing(shown))
    assert entry is not None
    # The simulators' roots are no vendor's: who makes the policy accepts them by name, and so does this.
    accepted = {**entry, "development_roots": [claims.root_sha256]}
    (reference,) = TeePolicy.parse({"evidence": "required", "accept": [accepted]}, "00" * 32).references
    appraise(claims, [reference], Moment(at=NOW, now=NOW)).check()
    for name in entry["measurements"]:
        other = replace(
            claims, measurements={**claims.measurements, name: "ee" * (len(claims.measurements[name]) // 2)}
        )
        assert not appraise(other, [reference], Moment(at=NOW, now=NOW)).accepted


def test_a_tpms_key_is_listed_and_an_emulators_is_called_one():
    shown, claims = tpm()
    key = claims.facts["ak_sha256"]
    entry = reference_of(Showing(replace(shown, provider="tpm")))
    assert entry is not None
    assert entry["ak_sha256"] == [key]
    assert "development_roots" not in entry
    assert reference_of(Showing(replace(shown, provider="simulated"))) == {**entry, "development_roots": [key]}


def test_no_root_of_a_vendor_is_accepted_by_its_own_word():
    for machine in (azure, nitro):
        entry = reference_of(Showing(machine()[0]))
        assert entry is not None
        assert not {"roots", "development_roots"} & entry.keys()


def test_evidence_that_no_policy_can_be_made_of_is_an_error_and_no_policy_without_a_word():
    with pytest.raises(ConfigError, match="arm-cca"):
        reference_of(Showing(replace(tpm()[0], tee="arm-cca")))


def test_nothing_is_known_of_no_tee():
    assert reference_of(None) is None
