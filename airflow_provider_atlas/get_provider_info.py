"""Airflow's provider metadata. Read at every start of every Airflow process, so it imports nothing."""


def get_provider_info() -> dict[str, object]:
    """Return the metadata, as Airflow's ``provider_info.schema.json`` has it."""
    return {
        "package-name": "airflow-provider-atlas",
        "name": "Atlas",
        "description": "Attested execution: tasks captured, quoted, signed, logged and verifiable offline.",
        "task-decorators": [{"name": "atlas", "class-name": "airflow_provider_atlas.decorators.atlas_task"}],
        "config": {"atlas": {"description": "Attested execution of tasks.", "options": _options()}},
    }


def _options() -> dict[str, object]:
    return {
        name: {
            "description": description,
            "version_added": "0.1.0",
            "type": "boolean" if default in ("true", "false") else "string",
            "example": example,
            "default": default,
        }
        for name, default, example, description in _OPTIONS
    }


_OPTIONS = (
    (
        "mode",
        "observe",
        "enforce",
        "observe: trouble is logged, spooled, retried. enforce: it fails the task. off",
    ),
    ("deployment", "airflow", "prod-eu", "The name of this Airflow installation, in every record"),
    ("home", "", "/var/lib/atlas", "Where the defaults below lie; $AIRFLOW_HOME/atlas when empty"),
    ("signer", "", "file:/etc/atlas/task.pem", "The key that signs tasks; or fulcio:https://host, for none"),
    ("signer_token_file", "", "/var/run/secrets/tokens/fulcio", "The file of the worker's identity token"),
    ("signer_audience", "sigstore", "fulcio.example.org", "Whom that token is meant for, as Fulcio expects"),
    (
        "attester",
        "none:",
        "helper:/run/atlas/tee.sock",
        "The worker's TEE: tsm: asks the kernel, helper: a helper that may; simulated:/folder proves nothing",
    ),
    ("attester_mode", "task", "session", "One quote for: a task; a session (a worker's key); a batch of tasks"),
    (
        "endorsements",
        "none:",
        "pccs:https://pccs.example.org:8081",
        "Who vouches for the TEE: pccs:, kds: and a URL, pcs:intel, kds:amd. Nobody is asked by default",
    ),
    (
        "log",
        "",
        "rekor-v2:https://log.example.org",
        "The log: posix:/folder; of many hosts rekor-v2:https://host (or v1), s3://bucket/path, postgresql://host/db",
    ),
    (
        "log_origin",
        "",
        "atlas.example.org/log",
        "The first line of the log's checkpoints; of rekor-v1 host - tree id",
    ),
    ("log_signer", "", "file:/etc/atlas/log.pem", "The log's key; made at first use when empty"),
    ("log_witnesses", "", "/etc/atlas/witnesses", "Who cosigns the log's checkpoints: a tlog-policy file"),
    ("log_witness_failure", "closed", "open", "Without their quorum a checkpoint waits; open: it does not"),
    ("log_integration", "sync", "deferred", "When the log signs: before a task ends, or when its run does"),
    ("log_key", "", "atlas.example.org/log+3f2a…+AR8…", "The verifier key of a log that others keep"),
    ("log_token_file", "", "/etc/atlas/log.token", "The file of the token that may write to such a log"),
    ("allow_public_log", "false", "true", "true: entries may go to a public log, where they stay for ever"),
    ("allow_network_log", "false", "true", "true: the log's folder is on NFS or the like, for one machine"),
    ("archive", "", "file:/var/lib/atlas/archive", "Where records are kept"),
    ("spool", "", "file:/var/lib/atlas/spool", "Where records wait that could not be finished"),
    (
        "tsa",
        "",
        "https://tsa.example.org/",
        "The time-stamp authority that records are shown to; none when empty",
    ),
    ("policy", "", "/etc/atlas/policy.yaml", "What AtlasVerifyOperator judges by"),
    ("image", "", "sha256:…", "The digest of the worker's image"),
)
"""Every setting: its name, its default, an example, what it is."""
