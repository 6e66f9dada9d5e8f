"""The start record: what a task was about to work on, logged before its own code ran (``enforce``).

Inputs are hashed before anyone could swap them, and a crash leaves a start without an end.
See: ``docs/format.md`` §4.
"""

from collections.abc import Mapping
from datetime import datetime

from airflow_provider_atlas.encoding import format_time
from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.intoto.environment import CodeIdentity, sha256_digest_set
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.statement import NAMESPACE, Statement, Subject
from airflow_provider_atlas.intoto.task_run import TaskRun

PREDICATE_TYPE = NAMESPACE + "task-start"
"""The predicate type of a start record."""


def start_statement(
    *,
    run: TaskRun,
    nonce: bytes,
    code: CodeIdentity,
    materials: Mapping[str, str],
    started: datetime,
    beacon: Beacon | None,
) -> Statement:
    """Return the start record of ``run``; its subject is the execution itself."""
    name, digest = run.resource
    return Statement(
        subjects=(Subject(name=name, sha256=digest),),
        predicate_type=PREDICATE_TYPE,
        predicate={
            "run": run.to_json(),
            "nonce": nonce.hex(),
            "code": code.to_json(),
            "materials": {uri: sha256_digest_set(value) for uri, value in materials.items()},
            "started": format_time(started),
            "beacon": beacon.to_json() if beacon else None,
        },
    )


def is_start_of(start: Statement, link: Link) -> bool:
    """Whether ``link`` ends what ``start`` began: same try, nonce and code, and every input unchanged since."""
    environment = link.environment
    hashed = start.predicate.get("materials")
    if not isinstance(hashed, Mapping):
        return False
    known = {uri: digest for uri, digest in link.materials.items() if uri in hashed}
    again = start_statement(
        run=environment.run,
        nonce=environment.nonce,
        code=environment.code,
        materials=known,
        started=environment.started,
        beacon=environment.beacon,
    )
    return again == start
