"""What a link says of the world its task ran in: code, platform, upstream, times. See ``docs/format.md`` §3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, format_time, parse_hex
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.intoto.task_run import TaskRun

VERSION = 1
"""The version of the link's environment; it changes only with an ADR."""


def sha256_digest_set(digest: str) -> JsonObject:
    """Return the in-toto digest set that holds ``digest`` (SHA-256, hex) and nothing else.

    in-toto compares whole digest sets, so one algorithm on both sides is the only set that always matches.
    """
    return {"sha256": digest}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeIdentity:
    """Which code ran: Airflow's DAG bundle, the SHA-256 of the listing of the files loaded, and of the pipeline."""

    bundle_name: str
    bundle_version: str | None
    files_sha256: str
    pipeline_sha256: str

    @classmethod
    def parse(cls, value: Json) -> "CodeIdentity":
        """Return the identity that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the code identity")
        bundle = fields.fields("dag_bundle")
        identity = cls(
            bundle_name=bundle.text("name"),
            bundle_version=bundle.optional("version", bundle.text),
            files_sha256=fields.sha256("files"),
            pipeline_sha256=fields.sha256("pipeline"),
        )
        bundle.end()
        fields.end()
        return identity

    def to_json(self) -> JsonObject:
        """Return the JSON object of this identity."""
        return {
            "dag_bundle": {"name": self.bundle_name, "version": self.bundle_version},
            "files": sha256_digest_set(self.files_sha256),
            "pipeline": sha256_digest_set(self.pipeline_sha256),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the code ran on, as the worker says; ``image`` is ``sha256:…`` where the operator set it."""

    python: str
    airflow: str
    atlas: str
    distributions_sha256: str
    image: str | None

    @classmethod
    def parse(cls, value: Json) -> "Platform":
        """Return the platform that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the platform")
        platform = cls(
            python=fields.text("python"),
            airflow=fields.text("airflow"),
            atlas=fields.text("atlas"),
            distributions_sha256=fields.sha256("distributions"),
            image=fields.optional("image", fields.text),
        )
        fields.end()
        return platform

    def to_json(self) -> JsonObject:
        """Return the JSON object of this platform."""
        return {
            "python": self.python,
            "airflow": self.airflow,
            "atlas": self.atlas,
            "distributions": sha256_digest_set(self.distributions_sha256),
            "image": self.image,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReference:
    """A record by the SHA-256 of its link's (or start's) envelope, and its index in the log where it was known."""

    step: str
    try_number: int
    envelope_sha256: str
    log_index: int | None

    @classmethod
    def parse(cls, value: Json) -> "RecordReference":
        """Return the reference that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the record reference")
        reference = cls(
            step=fields.text("step"),
            try_number=fields.integer("try_number"),
            envelope_sha256=fields.sha256("envelope"),
            log_index=fields.optional("log_index", fields.integer),
        )
        fields.end()
        return reference

    def to_json(self) -> JsonObject:
        """Return the JSON object of this reference."""
        return {
            "step": self.step,
            "try_number": self.try_number,
            "envelope": sha256_digest_set(self.envelope_sha256),
            "log_index": self.log_index,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """Something declared that no digest could be taken of, and why. A report must show it."""

    uri: str
    reason: str

    @classmethod
    def parse(cls, value: Json) -> "Unmeasured":
        """Return what ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "an unmeasured artifact")
        unmeasured = cls(uri=fields.text("uri"), reason=fields.text("reason"))
        fields.end()
        return unmeasured

    def to_json(self) -> JsonObject:
        """Return the JSON object of this."""
        return {"uri": self.uri, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The ``environment`` of a link.

    ``nonce`` is 16 random bytes, so that a link cannot be guessed from its digest in a public log.
    ``parameters`` maps a field to the SHA-256 of ``salt ‖ JCS(redacted value)``. ``upstream`` names the records of
    the tasks before this one: it makes the links linked. ``start`` is the record logged before the task's own code
    ran (enforce), ``beacon`` the log's checkpoint then. ``resumed`` is true when the task came back from a deferral
    or a reschedule, and this link covers its last segment only.
    """

    run: TaskRun
    nonce: bytes
    operator: str
    code: CodeIdentity
    platform: Platform
    parameters: Mapping[str, str]
    started: datetime
    finished: datetime
    upstream: Sequence[RecordReference]
    start: RecordReference | None
    beacon: Beacon | None
    resumed: bool
    unmeasured: Sequence[Unmeasured]

    @classmethod
    def parse(cls, value: Json) -> "Environment":
        """Return the environment that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the environment")
        if fields.integer("atlas") != VERSION:
            raise MalformedError(f"expected a link whose environment is of version {VERSION}")
        environment = cls(
            run=TaskRun.parse(fields.object("run")),
            nonce=parse_hex(fields.text("nonce"), 16),
            operator=fields.text("operator"),
            code=CodeIdentity.parse(fields.object("code")),
            platform=Platform.parse(fields.object("platform")),
            parameters=_parse_commitments(fields.object("parameters")),
            started=fields.time("started"),
            finished=fields.time("finished"),
            upstream=tuple(map(RecordReference.parse, fields.items("upstream"))),
            start=fields.optional("start", lambda name: RecordReference.parse(fields.object(name))),
            beacon=fields.optional("beacon", lambda name: Beacon.parse(fields.object(name))),
            resumed=fields.boolean("resumed"),
            unmeasured=tuple(map(Unmeasured.parse, fields.items("unmeasured"))),
        )
        fields.end()
        return environment

    def to_json(self) -> JsonObject:
        """Return the JSON object of this environment."""
        return {
            "atlas": VERSION,
            "run": self.run.to_json(),
            "nonce": self.nonce.hex(),
            "operator": self.operator,
            "code": self.code.to_json(),
            "platform": self.platform.to_json(),
            "parameters": {name: sha256_digest_set(value) for name, value in self.parameters.items()},
            "started": format_time(self.started),
            "finished": format_time(self.finished),
            "upstream": [reference.to_json() for reference in self.upstream],
            "start": self.start.to_json() if self.start else None,
            "beacon": self.beacon.to_json() if self.beacon else None,
            "resumed": self.resumed,
            "unmeasured": [item.to_json() for item in self.unmeasured],
        }


def _parse_commitments(value: JsonObject) -> Mapping[str, str]:
    fields = Fields(value, "the parameters")
    return {name: fields.sha256(name) for name in value}
