"""SLSA provenance of a task, derived from its link: the same facts, for the tools that read SLSA.

It is a function of the link and nothing else, so a verifier computes it again and compares bytes: two documents
that are signed by one key can then never tell two stories.
See: https://slsa.dev/spec/v1.2/provenance.
"""

from airflow_provider_atlas.encoding import JsonObject, format_time
from airflow_provider_atlas.intoto.environment import sha256_digest_set
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.statement import NAMESPACE, Statement, Subject

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
"""The predicate type of SLSA provenance, 1.0 and later."""

BUILD_TYPE = NAMESPACE + "buildtypes/airflow-task"
"""How to read the parameters below: an Airflow task instance."""


def provenance_of(link: Link) -> Statement:
    """Return the provenance statement that says what ``link`` says.

    Its subjects are the products; of a task without products, the execution itself (``TaskRun.resource``).
    """
    products = [Subject(name=uri, sha256=digest) for uri, digest in sorted(link.products.items())]
    name, digest = link.environment.run.resource
    return Statement(
        subjects=tuple(products or [Subject(name=name, sha256=digest)]),
        predicate_type=PREDICATE_TYPE,
        predicate={"buildDefinition": _build_definition(link), "runDetails": _run_details(link)},
    )


def _build_definition(link: Link) -> JsonObject:
    environment, run = link.environment, link.environment.run
    code = environment.code
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "dag_id": run.dag_id,
            "task_id": run.task_id,
            "logical_date": run.logical_date,
            "dag_bundle": {"name": code.bundle_name, "version": code.bundle_version},
            "commitments": {name: sha256_digest_set(value) for name, value in environment.parameters.items()},
        },
        "internalParameters": {
            "run_id": run.run_id,
            "map_index": run.map_index,
            "try_number": run.try_number,
            "operator": environment.operator,
            "state": link.outcome.state,
        },
        "resolvedDependencies": _dependencies(link),
    }


def _dependencies(link: Link) -> list[JsonObject]:
    environment = link.environment
    code: list[JsonObject] = [
        {"name": "dag-files", "digest": sha256_digest_set(environment.code.files_sha256)},
        {"name": "pipeline", "digest": sha256_digest_set(environment.code.pipeline_sha256)},
        {"name": "distributions", "digest": sha256_digest_set(environment.platform.distributions_sha256)},
    ]
    inputs: list[JsonObject] = [
        {"uri": uri, "digest": sha256_digest_set(digest)} for uri, digest in sorted(link.inputs.items())
    ]
    return code + inputs


def _run_details(link: Link) -> JsonObject:
    environment = link.environment
    name, digest = environment.run.resource
    return {
        "builder": {
            "id": NAMESPACE + "builders/airflow-task",
            "version": {
                "airflow": environment.platform.airflow,
                "atlas": environment.platform.atlas,
                "python": environment.platform.python,
            },
        },
        "metadata": {
            "invocationId": name,
            "startedOn": format_time(environment.started),
            "finishedOn": format_time(environment.finished),
        },
        "byproducts": [{"name": name, "digest": sha256_digest_set(digest)}],
    }
