"""A record on its way: vouched for, logged, archived. What could not be finished is spooled, and drained later.

A crash between two steps loses nothing that Airflow was told of: the task is not reported before the last one. To do
a step again does no harm: the log knows an entry it has, and the archive keeps the same bytes once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from airflow_provider_atlas.artifacts.archive import PIPELINE, Archive, record_path, run_path
from airflow_provider_atlas.artifacts.spool import Spool
from airflow_provider_atlas.attest.seal import Sealer
from airflow_provider_atlas.bundle import AttestationBundle, Role
from airflow_provider_atlas.encoding import Fields, b64decode, b64encode, canonical_json, parse_json, sha256_hex
from airflow_provider_atlas.errors import AtlasError, AttestingError, MalformedError, MissingError
from airflow_provider_atlas.intoto.link import Link

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """What is archived beside a bundle: the pipeline, the openings of the commitments, and blobs named by digest."""

    pipeline: bytes
    openings: bytes
    blobs: Sequence[bytes] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRecord:
    """A link that is to become an archived bundle. ``bundle`` is as far as it came, or None."""

    link: Link
    attachments: Attachments
    start: AttestationBundle | None = None
    bundle: AttestationBundle | None = None

    @property
    def name(self) -> str:
        """A name for this record among all, in hex: it stands for the try of the instance of the run."""
        run = self.link.environment.run
        return sha256_hex(canonical_json([run.dag_id, run.run_id, run.step, run.try_number]))

    @classmethod
    def parse(cls, content: bytes) -> "PendingRecord":
        """Return the record that ``to_bytes`` gave as ``content``. Raises MalformedError otherwise."""
        fields = Fields(parse_json(content), "the spooled record")
        if fields.integer("v") != _VERSION:
            raise MalformedError(f"expected a spooled record of version {_VERSION}")
        blobs = fields.items("blobs")
        record = cls(
            link=Link.parse(b64decode(fields.text("link"))),
            attachments=Attachments(
                pipeline=b64decode(fields.text("pipeline")),
                openings=b64decode(fields.text("openings")),
                blobs=tuple(b64decode(blob) for blob in blobs if isinstance(blob, str)),
            ),
            start=_parse_bundle(fields.optional("start", fields.text)),
            bundle=_parse_bundle(fields.optional("bundle", fields.text)),
        )
        fields.end()
        return record

    def to_bytes(self) -> bytes:
        """Return this record in canonical JSON, for the spool alone: it is no format for strangers."""
        return canonical_json(
            {
                "v": _VERSION,
                "link": b64encode(self.link.to_bytes()),
                "pipeline": b64encode(self.attachments.pipeline),
                "openings": b64encode(self.attachments.openings),
                "blobs": [b64encode(blob) for blob in self.attachments.blobs],
                "start": b64encode(self.start.to_bytes()) if self.start else None,
                "bundle": b64encode(self.bundle.to_bytes()) if self.bundle else None,
            }
        )


class UnfinishedError(AttestingError):
    """A record could not be finished; ``record`` is as far as it came."""

    def __init__(self, record: PendingRecord, reason: str) -> None:
        super().__init__(reason)
        self.record = record


def complete(record: PendingRecord, sealer: Sealer, archive: Archive) -> AttestationBundle:
    """Vouch for ``record``, log it, have it stamped, archive it; return its bundle.

    Raises UnfinishedError with what was done.
    """
    try:
        if record.bundle is None:
            record = replace(record, bundle=sealer.vouch(record.link, record.start))
        record = replace(record, bundle=sealer.enter(_present(record.bundle)))
        bundle = sealer.stamp(_present(record.bundle))
        record = replace(record, bundle=bundle)
        keep(record, archive)
    except (AttestingError, MissingError) as error:
        raise UnfinishedError(record, str(error)) from error
    return bundle


def defer(record: PendingRecord, sealer: Sealer, archive: Archive, spool: Spool) -> Mapping[Role, int]:
    """Vouch for ``record``, give it its place in the log, and spool it; return its indices there.

    Whoever drains the spool completes it. Until then the archive holds what later tasks refer to. Raises
    UnfinishedError with what was done.
    """
    try:
        if record.bundle is None:
            record = replace(record, bundle=sealer.vouch(record.link, record.start))
        indices = sealer.sequence(_present(record.bundle))
        record = replace(record, bundle=sealer.stamp(_present(record.bundle)))
        # A crash before this line leaves entries in the log and no record, and Airflow was not told of the task; one
        # after it, a record that is completed without having been archived before.
        spool.put(record.name, record.to_bytes())
        _archive(record, archive, "sequenced.json", sequenced_document(_present(record.bundle), indices))
    except (AttestingError, MissingError) as error:
        raise UnfinishedError(record, str(error)) from error
    return indices


def sequenced_document(bundle: AttestationBundle, indices: Mapping[Role, int]) -> bytes:
    """Return what the archive holds of a record that the log has yet to sign for: see ``docs/format.md`` §7.6."""
    return canonical_json(
        {"bundle": parse_json(bundle.to_bytes()), "indices": {str(role): index for role, index in indices.items()}}
    )


def keep(record: PendingRecord, archive: Archive) -> None:
    """Archive ``record``, the bundle last: where it lies, all it refers to does. Raises ArchiveError."""
    _archive(record, archive, "bundle.json", _present(record.bundle).to_bytes())


def _archive(record: PendingRecord, archive: Archive, kind: str, content: bytes) -> None:
    run = record.link.environment.run
    for blob in record.attachments.blobs:
        archive.put_blob(blob)
    archive.put((*run_path(run.dag_id, run.run_id), PIPELINE), record.attachments.pipeline)
    names = f"{run.try_number}.openings.json", f"{run.try_number}.{kind}"
    openings, last = (record_path(run.dag_id, run.run_id, run.step, name) for name in names)
    archive.put(openings, record.attachments.openings, private=True)
    archive.put(last, content)


def drain(spool: Spool, sealer: Sealer, archive: Archive, *, at_most: int) -> tuple[int, Sequence[str]]:
    """Finish up to ``at_most`` spooled records; return how many were, and one line for each that was not.

    Raises ArchiveError when the spool itself cannot be read.
    """
    done, problems = 0, []
    for name in spool.names()[:at_most]:
        try:
            content = spool.get(name)
            _finish(name, content, spool, sealer, archive)
            done += 1
        except AtlasError as error:
            problems.append(f"{name}: {error}")
    return done, problems


def _finish(name: str, content: bytes, spool: Spool, sealer: Sealer, archive: Archive) -> None:
    try:
        complete(PendingRecord.parse(content), sealer, archive)
    except UnfinishedError as error:
        # Behind the others, and as far as it came now: what can never be finished must not keep them waiting.
        spool.put(name, error.record.to_bytes())
        raise
    except AtlasError:
        spool.put(name, content)
        raise
    spool.discard(name)


def _present(bundle: AttestationBundle | None) -> AttestationBundle:
    if bundle is None:
        raise MissingError("expected a record that was vouched for")
    return bundle


def _parse_bundle(text: str | None) -> AttestationBundle | None:
    return AttestationBundle.parse(b64decode(text)) if text is not None else None
