"""What a report says of the TEE evidence of one record, or of one file: all that the answer rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from airflow_provider_atlas.encoding import JsonObject, format_time, sha256_hex
from airflow_provider_atlas.tee.appraisal import Appraisal, Judgement
from airflow_provider_atlas.tee.assurance import Assurance, Limit
from airflow_provider_atlas.tee.binding import Binding
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.tee.evidence import Claims, Evidence, Fact
from airflow_provider_atlas.tee.policy_fields import IDENTITIES
from airflow_provider_atlas.verify.tee_policy import pseudonym

_FLAGS = ("migratable", "smt", "dynamic_platform", "cached_keys", "author_key_en", "chip_id_masked", "safe")
_SVN = ("tee_tcb_svn", "cpu_svn", "pce_svn", "guest_svn", "firmware_version")
_ELSEWHERE = ("quote_version", "report_version", "collateral_issued", "collateral_expires", "tcb_date")
_EVALUATION = "tcb_evaluation_data_number"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeeResult:
    """What the TEE evidence of a record came to; ``root_sha256`` is that of its root certificate.

    ``assurance`` is ``development`` for a simulator, whose quotes prove nothing about any hardware, and ``none`` for
    evidence that is genuine and not accepted; ``limits`` say why it is no more. ``judgements`` are the policy's
    demands, each with its answer. ``tcb_status`` is the vendor's word at the moment that the evidence was judged as of,
    ``tcb_status_now`` at that of the report, where fresh endorsements were at hand. ``facts`` are what the claims say
    besides, with the identities of machines ``salted`` or as they are.
    """

    tee: str
    provider: str
    assurance: Assurance
    limits: Sequence[Limit]
    judgements: Sequence[Judgement]
    moment: Moment
    tcb_status: str | None
    tcb_status_now: str | None
    advisory_ids: Sequence[str]
    root_sha256: str
    development: bool
    debug: bool
    measurements: Mapping[str, str]
    facts: Mapping[str, Fact]
    identities: Mapping[str, str]
    salted: bool
    evidence: Evidence = field(repr=False)
    report_data: str
    binding: Binding | None

    @classmethod
    def of(
        cls,
        claims: Claims,
        appraisal: Appraisal,
        evidence: Evidence,
        *,
        binding: Binding | None,
        salt: bytes | None,
    ) -> "TeeResult":
        """Return the result of genuine ``claims`` of ``evidence``, identities under ``salt`` where there is one."""
        known = {name: str(claims.facts[name]) for name in sorted(IDENTITIES & claims.facts.keys())}
        if salt is not None:
            known = {name: pseudonym(name, value, salt) for name, value in known.items()}
        return cls(
            tee=claims.tee,
            provider=evidence.provider,
            assurance=appraisal.assurance,
            limits=appraisal.limits if appraisal.accepted else (),
            judgements=appraisal.judgements,
            moment=appraisal.moment,
            tcb_status=claims.tcb_status,
            tcb_status_now=appraisal.status_now,
            advisory_ids=list(claims.advisory_ids),
            root_sha256=claims.root_sha256,
            development=claims.development,
            debug=claims.debug,
            measurements=claims.measurements,
            facts={name: fact for name, fact in claims.facts.items() if name not in IDENTITIES},
            identities=known,
            salted=salt is not None,
            evidence=evidence,
            report_data=claims.report_data.hex(),
            binding=binding,
        )

    @property
    def kind(self) -> JsonObject:
        """What is the same for all records that were made on machines of one kind."""
        return {
            "tee": self.tee,
            "provider": self.provider,
            "assurance": self.assurance,
            "tcb_status": self.tcb_status,
            "tcb_status_now": self.tcb_status_now,
            "root_sha256": self.root_sha256,
            "measurements": self.measurements,
        }

    def to_json(self) -> JsonObject:
        """Return the JSON object of this result."""
        return {
            "tee": self.tee,
            "provider": self.provider,
            "format_version": self.facts.get("quote_version", self.facts.get("report_version")),
            "assurance": self.assurance,
            "limits": [{"level": one.level, "code": one.code, "detail": one.detail} for one in self.limits],
            "judgements": [{"name": one.name, "code": one.code, "detail": one.detail} for one in self.judgements],
            "judged_at": format_time(self.moment.at),
            "attested_at": _attested(self.moment),
            "trust_root": {"sha256": self.root_sha256, "development": self.development},
            "tcb": self._tcb(),
            "collateral": self._collateral(),
            "measurements": self.measurements,
            "flags": {"debug": self.debug, **{name: self.facts[name] for name in _FLAGS if name in self.facts}},
            "platform": {"salted": self.salted, "identities": self.identities},
            "facts": {name: fact for name, fact in self.facts.items() if not _is_told_elsewhere(name)},
            "evidence": {
                "media_type": self.evidence.media_type,
                "sha256": sha256_hex(self.evidence.quote),
                "size": len(self.evidence.quote),
            },
            "binding": {
                "report_data": self.report_data,
                "preimage": self.binding.to_json() if self.binding else None,
            },
        }

    def _tcb(self) -> JsonObject:
        return {
            "status": self.tcb_status,
            "status_now": self.tcb_status_now,
            "advisory_ids": list(self.advisory_ids),
            "evaluation_data_number": self.facts.get(_EVALUATION),
            "date": self.facts.get("tcb_date"),
            "components": {name: fact for name, fact in self.facts.items() if _is_component(name)},
        }

    def _collateral(self) -> JsonObject:
        return {
            "issued": _moment(self.facts.get("collateral_issued", self.facts.get("crl_issued"))),
            "expires": _moment(self.facts.get("collateral_expires")),
            "items": [
                {"media_type": item.media_type, "sha256": sha256_hex(item.content)}
                for item in self.evidence.endorsements
            ],
        }


def _attested(moment: Moment) -> JsonObject | None:
    return {"time": format_time(moment.attested), "source": "time-stamp"} if moment.attested else None


def _moment(second: Fact | None) -> str | None:
    return None if second is None else format_time(datetime.fromtimestamp(cast("int", second), UTC))


def _is_component(name: str) -> bool:
    return name in _SVN or "_tcb." in name


def _is_told_elsewhere(name: str) -> bool:
    return name in (*_FLAGS, *_ELSEWHERE, _EVALUATION) or _is_component(name)
