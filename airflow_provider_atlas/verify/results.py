"""What a report says of each record, as the record describes itself."""

from airflow_provider_atlas.verify.records import Record
from airflow_provider_atlas.verify.report import RecordResult
from airflow_provider_atlas.verify.tee_result import TeeResult


def record_result(record: Record, tee: TeeResult | None) -> RecordResult:
    """Return the row of ``record``; ``tee`` is what its evidence came to, where that is genuine."""
    link, bundle = record.link, record.bundle
    environment = link.environment
    receipt = bundle.receipts.get("link")
    return RecordResult(
        step=link.name,
        try_number=environment.run.try_number,
        state=link.outcome.state,
        operator=environment.operator,
        started=environment.started,
        finished=environment.finished,
        signer_sha256=bundle.public_key.sha256,
        envelope_sha256=record.sha256,
        log_index=receipt.index if receipt else None,
        inputs=len(link.inputs),
        outputs=len(link.products),
        metrics=dict(link.outcome.metrics),
        upstream=sorted(reference.step for reference in environment.upstream),
        unmeasured=[item.uri for item in environment.unmeasured],
        tee=tee,
    )
