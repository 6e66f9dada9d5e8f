"""Settings → the worker's TEE; and the verifiers of what TEEs give."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_atlas.errors import AttesterError, ConfigError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.tee.attester import Attester, EvidenceVerifier
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, Endorsements, Evidence


def attester(settings: Settings) -> Attester | None:
    """Return the worker's TEE, or None where the setting says ``none:``. A simulator is never chosen by default.

    Raises ConfigError for a setting that names none, AttesterError for a TEE that is not there.
    """
    scheme, colon, _ = settings.attester.partition(":")
    if settings.attester == "none:":
        return None
    make = _ATTESTERS.get(scheme) if colon else None
    if make is None:
        raise ConfigError(f"[atlas] attester is {settings.attester!r}; expected none: or one of {_known()}")
    return make(settings)


def _known() -> str:
    return ", ".join(f"{scheme}:" for scheme in sorted(_ATTESTERS))


def _simulated(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    return SimulatedAttester(Path(path_of(settings.attester, "simulated", "attester")))


def _tsm(settings: Settings) -> Attester:
    """Return the attester of ``tsm:[/path/to/tsm/report][?privlevel=N&event_log=/path&collateral=/path]``."""
    from airflow_provider_atlas.tee.backends.tsm import CONFIGFS_TSM, TsmAttester

    address, _, query = settings.attester.removeprefix("tsm:").partition("?")
    options = _options(query, "privlevel", "event_log", "collateral")
    level, log, collateral = (options.get(name) for name in ("privlevel", "event_log", "collateral"))
    if level is not None and level not in {"0", "1", "2", "3"}:
        raise ConfigError(f"[atlas] attester: privlevel is 0, 1, 2 or 3, and not {level!r}")
    return TsmAttester(
        root=_absolute(address, "the folder of configfs-tsm") if address else CONFIGFS_TSM,
        privlevel=None if level is None else int(level),
        event_log=_absolute(log, "event_log") if log is not None else None,
        endorse=with_collateral(_absolute(collateral, "collateral")) if collateral is not None else None,
    )


def with_collateral(path: Path) -> Callable[[Evidence], Evidence]:
    """Return what adds the DCAP collateral in the file ``path``, as it is at that time, to TDX evidence.

    What it returns raises AttesterError when the file cannot be read.
    """

    def endorse(evidence: Evidence) -> Evidence:
        if evidence.tee != "tdx":
            return evidence
        try:
            collateral = Endorsements(media_type=DCAP_COLLATERAL, content=path.read_bytes())
        except OSError as error:
            raise AttesterError(f"cannot read the collateral {path}: {error.strerror}") from error
        return replace(evidence, endorsements=(collateral, *evidence.endorsements))

    return endorse


def _helper(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.attester_client import HelperAttester

    return HelperAttester(path=Path(path_of(settings.attester, "helper", "attester")))


def _options(query: str, *known: str) -> Mapping[str, str]:
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else [])
    except ValueError as error:
        raise ConfigError(f"[atlas] attester: expected name=value&…, not {query!r}") from error
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(f"[atlas] attester has no option {unknown[0]!r}; it has {', '.join(known)}")
    return given


def _absolute(text: str, what: str) -> Path:
    if not Path(text).is_absolute():
        raise ConfigError(f"[atlas] attester: expected an absolute path of {what}, not {text!r}")
    return Path(text)


_ATTESTERS: Mapping[str, Callable[[Settings], Attester]] = {
    "helper": _helper,
    "simulated": _simulated,
    "tsm": _tsm,
}
"""What makes the worker's TEE, by the scheme of the setting."""


def evidence_verifiers() -> Mapping[str, EvidenceVerifier]:
    """Return the verifiers of evidence, by TEE."""
    from airflow_provider_atlas.tee.backends.dcap import DcapVerifier

    return {"tdx": DcapVerifier()}


def reference_of(tee: Attester | None) -> Mapping[str, Any] | None:
    """Return the entry of ``tee.accept`` by which a policy accepts ``tee``, or None where nothing is known of it."""
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    if not isinstance(tee, SimulatedAttester):
        return None
    pinned = {name: [value] for name, value in tee.measurements.items() if name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
    return {"tee": "tdx", "development_roots": [tee.root_sha256], "measurements": pinned}
