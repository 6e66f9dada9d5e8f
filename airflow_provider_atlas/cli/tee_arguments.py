"""What several commands of ``atlas tee`` take: a file of evidence, and what vouches for its platform."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime

from airflow_provider_atlas.cli.arguments import moment, read_file
from airflow_provider_atlas.encoding import parse_hex
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.tee.evidence import Endorsements
from airflow_provider_atlas.verify.evidence import EvidenceJudge
from airflow_provider_atlas.verify.evidence_file import endorsements_in
from airflow_provider_atlas.verify.evidence_policy import EvidencePolicy
from airflow_provider_atlas.wiring import tees


def add_evidence(parser: ArgumentParser) -> None:
    """Add the file of evidence, and the arguments that say how to judge whether it is genuine."""
    parser.add_argument(
        "file", metavar="FILE", help="a quote (raw, hex or base64), evidence in JSON, or a bundle that holds some"
    )
    parser.add_argument(
        "--collateral",
        action="append",
        default=[],
        metavar="FILE",
        help="what vouches for the platform: DCAP collateral in JSON, certificates (PEM or DER), revocation lists; "
        "and the guest's boot event log (CCEL); repeatable; it stands in for what came with the evidence",
    )
    parser.add_argument("--at", metavar="TIME", help="judge as of this moment, such as 2026-01-31T12:00:00Z; else now")
    parser.add_argument(
        "--allow-development-root",
        action="append",
        default=[],
        metavar="SHA256",
        help="accept the simulator whose root certificate has this SHA-256: its evidence proves nothing; repeatable",
    )


def endorsements(paths: Sequence[str], option: str) -> Sequence[Endorsements]:
    """Return the endorsements in the files ``paths``. Raises ConfigError, which names ``option``."""
    try:
        return endorsements_in(*(read_file(path, "the endorsements") for path in paths))
    except MalformedError as error:
        raise ConfigError(f"cannot use {option}: {error}") from error


def judge_of(
    options: Namespace, policy: EvidencePolicy | None, fresh: Sequence[Endorsements] = (), *, plain: bool = False
) -> EvidenceJudge:
    """Return what the arguments say to judge by. Raises ConfigError for one that cannot be used."""
    at = moment(options.at)
    return EvidenceJudge(
        policy=policy,
        verifiers=tees.evidence_verifiers(),
        moment=Moment(at=at, now=datetime.now(UTC) if fresh else at),
        development_roots=[_hex(root, "--allow-development-root", 32).hex() for root in options.allow_development_root],
        report_data=report_data(options),
        fresh=fresh,
        plain_identities=plain,
        at_given=options.at is not None,
    )


def report_data(options: Namespace) -> bytes | None:
    """Return the bytes of ``--report-data``: 64, or 32 where a TPM holds no more; None where it is not given."""
    text = getattr(options, "report_data", None)
    if text is None:
        return None
    return _hex(text, "--report-data", 32 if len(text) == 64 else 64)


def _hex(text: str, option: str, size: int) -> bytes:
    try:
        return parse_hex(text.lower(), size)
    except MalformedError as error:
        raise ConfigError(f"cannot use {option}: {error}") from error
