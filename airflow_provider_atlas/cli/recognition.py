"""Which format some bytes are in, and what they say: one JSON object, which always has ``what``."""

from collections import Counter
from collections.abc import Mapping

from airflow_provider_atlas.bundle import MEDIA_TYPE, AttestationBundle
from airflow_provider_atlas.cli.quote_recognition import describe_quote
from airflow_provider_atlas.encoding import Fields, Json, JsonObject, format_time, parse_json, sha256_hex
from airflow_provider_atlas.errors import BindingError, MalformedError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.scai import attribute_for
from airflow_provider_atlas.intoto.statement import STATEMENT_TYPE, Statement
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.dsse import Envelope
from airflow_provider_atlas.tee.binding import Binding
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import SignedNote
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import SCHEMA, SCHEMA_1

_SIGNATURE_LINE = "\n\n\N{EM DASH} ".encode()


def describe(content: bytes) -> JsonObject:
    """Return what ``content`` says.

    Raises MalformedError when it is in none of the formats, or not wholly in the one it begins as, and ConfigError
    for a policy that is not usable.
    """
    quote = describe_quote(content)
    if quote is not None:
        return quote
    if content.startswith(b"{"):
        return _json(content)
    if content.startswith(b"c2sp.org/tlog-proof@"):
        return {"what": "receipt", **_receipt(Receipt.parse(content))}
    if _SIGNATURE_LINE in content:
        return _checkpoint(SignedNote.parse(content))
    if content.startswith(b"version:") or b"\nversion:" in content:
        return describe_policy(Policy.parse(content))
    if b"-----BEGIN " in content:
        raise MalformedError(
            "expected a file of Atlas, and not a key or certificate: for keys there is atlas keys show"
        )
    raise MalformedError(
        "expected a bundle, link, statement, layout, pipeline, policy, report, checkpoint, receipt or quote"
    )


def describe_policy(policy: Policy) -> JsonObject:
    """Return what ``policy`` trusts and asks for."""
    return {
        "what": "policy",
        "name": policy.name,
        "sha256": policy.sha256,
        "signers": {
            **{signer.name: signer.key.sha256 for signer in policy.signers},
            **dict.fromkeys(policy.attested_signers, "whichever key a session attests"),
            **{each.name: f"{each.identity}, by {each.issuer}" for each in policy.identities},
        },
        "logs": {log.origin: str(log.key) for log in policy.logs},
        "evidence": "required" if policy.tee.required else "optional",
        "modes": sorted(policy.tee.modes),
        "max_age": int(policy.tee.session_max_age.total_seconds()) if policy.tee.session_max_age else None,
        "accepted_tees": [
            {
                "tee": reference.tee,
                "tcb_status": sorted(reference.tcb_status),
                "measurements": {name: sorted(values) for name, values in reference.measurements.items()},
                "demands": sorted(reference.demanding),
                "assurance": reference.assurance,
                "development_roots": sorted(reference.development_roots),
            }
            for reference in policy.tee.references
        ],
        "start": "required" if policy.start_required else "optional",
        "manifest": "required" if policy.manifest_required else "optional",
        "artifacts": policy.artifacts,
    }


def _json(content: bytes) -> JsonObject:
    try:
        value = parse_json(content)
    except MalformedError as error:
        raise MalformedError(f"{error}; it begins as JSON, and is cut short or damaged") from error
    match value:
        case {"mediaType": str(kind)} if kind == MEDIA_TYPE:
            return _bundle(AttestationBundle.parse(content))
        case {"payloadType": _}:
            return {"what": "envelope", **_envelope(Envelope.parse(value))}
        case {"schema": str(schema)} if schema in (SCHEMA, SCHEMA_1):
            return _report(value)
        case {"v": _, "dag_id": _, "tasks": _}:
            return _pipeline(Pipeline.parse(content))
        case {"_type": _}:
            return _payload(content)
        case _:
            raise MalformedError("expected the JSON of a bundle, link, statement, layout, pipeline or report")


def _bundle(bundle: AttestationBundle) -> JsonObject:
    bound = bundle.bound_evidence
    return {
        "what": "bundle",
        "signer_sha256": bundle.public_key.sha256,
        "certificate": _certificate(bundle.certificate) if bundle.certificate else None,
        "envelopes": {role: _envelope(envelope) for role, envelope in bundle.envelopes.items()},
        "evidence": describe_evidence(bound.evidence, bound.binding) if bound else None,
        "receipts": {role: _receipt(receipt) for role, receipt in bundle.receipts.items()},
        "timestamps": {role: f"{len(timestamp)} bytes" for role, timestamp in bundle.timestamps.items()},
    }


def _certificate(certificate: Certificate) -> JsonObject:
    return {
        "identity": certificate.identity,
        "issuer": certificate.issuer,
        "held_from": format_time(certificate.parsed.not_valid_before_utc),
        "held_until": format_time(certificate.parsed.not_valid_after_utc),
    }


def _envelope(envelope: Envelope) -> JsonObject:
    return {
        "sha256": envelope.sha256,
        "payload_type": envelope.payload_type,
        "keyid": envelope.keyid,
        "payload": _payload(envelope.payload),
    }


def _payload(payload: bytes) -> JsonObject:
    value = parse_json(payload)
    match value:
        case {"_type": "link"}:
            return _link(Link.parse(payload))
        case {"_type": str(kind)} if kind == STATEMENT_TYPE:
            return _statement(Statement.parse(payload))
        case {"_type": "layout"}:
            return _layout(value)
        case _:
            raise MalformedError("expected the payload to be a link, a statement or a layout of in-toto")


def _link(link: Link) -> JsonObject:
    environment, run = link.environment, link.environment.run
    return {
        "what": "link",
        "step": link.name,
        "try_number": run.try_number,
        "state": link.outcome.state,
        "error": link.outcome.error,
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "deployment": run.deployment,
        "operator": environment.operator,
        "started": format_time(environment.started),
        "finished": format_time(environment.finished),
        "materials": dict(link.materials),
        "products": dict(link.products),
        "metrics": dict(link.outcome.metrics),
        "upstream": [f"{reference.step} try {reference.try_number}" for reference in environment.upstream],
        "unmeasured": [f"{item.uri}: {item.reason}" for item in environment.unmeasured],
    }


def _statement(statement: Statement) -> JsonObject:
    return {
        "what": "statement",
        "predicate_type": statement.predicate_type,
        "subjects": {subject.name: subject.sha256 for subject in statement.subjects},
        "predicate": statement.predicate,
    }


def _layout(value: Json) -> JsonObject:
    # in-toto's own document, of which the names of the steps are enough for people.
    fields = Fields(value, "the layout")
    steps = [Fields(step, "a step of the layout").text("name") for step in fields.items("steps")]
    return {"what": "layout", "expires": fields.text("expires"), "readme": fields.text("readme"), "steps": steps}


def _pipeline(pipeline: Pipeline) -> JsonObject:
    return {
        "what": "pipeline",
        "dag_id": pipeline.dag_id,
        "sha256": pipeline.sha256,
        "tasks": {name: pipeline.tasks[name].to_json() for name in pipeline.order()},
    }


def describe_evidence(evidence: Evidence, binding: Binding | None) -> JsonObject:
    """Return what ``evidence`` says, and what its ``binding`` says that it commits to.

    Raises MalformedError for a quote that is not one.
    """
    return {
        "what": "evidence",
        "tee": evidence.tee,
        "provider": evidence.provider,
        "attribute": attribute_for(evidence.provider),
        "media_type": evidence.media_type,
        "quote": describe_quote(evidence.quote) or {"size": len(evidence.quote), "sha256": sha256_hex(evidence.quote)},
        "endorsements": [{"media_type": item.media_type, "size": len(item.content)} for item in evidence.endorsements],
        "binding": binding.to_json() if binding else None,
        "batch": evidence.batch.to_json() if evidence.batch else None,
        "binds_this": _bound_report_data(evidence, binding).hex() if binding else None,
    }


def _bound_report_data(evidence: Evidence, binding: Binding) -> bytes:
    try:
        return evidence.quoted(binding.report_data())
    except BindingError as error:
        raise MalformedError(str(error)) from error


def _receipt(receipt: Receipt) -> JsonObject:
    return {"index": receipt.index, **_checkpoint(receipt.note), "what": "receipt"}


def _checkpoint(note: SignedNote) -> JsonObject:
    checkpoint = Checkpoint.parse(note.text)
    return {
        "what": "checkpoint",
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "signatures": [f"{line.name}+{line.key_id.hex()}" for line in note.signatures],
    }


def _report(value: Json) -> JsonObject:
    fields = Fields(value, "the report")
    statuses = Counter(Fields(check, "a check of the report").text("status") for check in fields.items("checks"))
    open_answers = [check for check in Fields(value, "the report").items("checks") if _is_open(check)]
    return {
        "what": "report",
        "verdict": fields.text("verdict"),
        "development": fields.boolean("development"),
        "run": fields.object("run"),
        "policy": fields.object("policy"),
        "evaluated_at": fields.text("evaluated_at"),
        "verifier": fields.text("verifier"),
        "checks": dict(sorted(statuses.items())),
        "not_passed": open_answers,
        "records": len(fields.items("records")),
        "artifacts": len(fields.items("artifacts")),
    }


def _is_open(check: Json) -> bool:
    return isinstance(check, Mapping) and check.get("status") in {"failed", "not-reached"}
