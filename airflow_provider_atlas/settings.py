"""Settings: the ``[atlas]`` section, parsed once, frozen; unknown keys are refused.

Backends are URIs whose scheme picks them: ``file:/etc/atlas/task.pem``, ``fulcio:https://fulcio.example.org``,
``posix:/var/lib/atlas/log``, ``rekor-v2:https://log.example.org``, ``rekor-v1:https://rekor.example.org``. A log that
many hosts share is ``s3://bucket/prefix?endpoint=https://…&region=…`` or ``postgresql://user@host/database``; what is
secret for them comes from the environment, and is refused in the setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Literal, cast

from airflow_provider_atlas.errors import ConfigError

Mode = Literal["observe", "enforce", "off"]
"""What happens when a task cannot be attested: it is noticed, it fails, or nothing is attested at all."""

AttesterMode = Literal["task", "session", "batch"]
"""What one quote is for: a record, a key that a worker made for its session, or many records."""

WitnessFailure = Literal["open", "closed"]
"""What happens to a checkpoint that too few witnesses cosigned: it is published all the same, or waits."""

_SHARED = ("helper", "simulated")  # the simulator is quick: its batches of one show the form, at no cost
LogIntegration = Literal["sync", "deferred"]
"""When the log signs for the records it takes: before a task ends, or later."""

DEFAULTS: Mapping[str, str] = {
    "mode": "observe",
    "deployment": "airflow",
    "home": "",
    "signer": "",
    "signer_token_file": "",
    "signer_audience": "sigstore",
    "attester": "none:",
    "attester_mode": "task",
    "endorsements": "none:",
    "log": "",
    "log_origin": "",
    "log_signer": "",
    "log_witnesses": "",
    "log_witness_failure": "closed",
    "log_integration": "sync",
    "log_key": "",
    "log_token_file": "",
    "allow_public_log": "false",
    "allow_network_log": "false",
    "archive": "",
    "spool": "",
    "tsa": "",
    "policy": "",
    "image": "",
}
"""Every key, with its default; an empty one is derived from ``home`` or ``deployment``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One deployment's settings, complete and checked.

    ``signer``, ``attester``, ``log``, ``log_signer``, ``archive`` and ``spool`` are URIs. A key that was named must
    exist; a default one is made at its first use, and ``made_keys`` says which those are. For a signer that Fulcio
    certifies, ``signer_token_file`` is the path of the worker's identity token, and ``signer_audience`` whom that is
    meant for. In the ``attester_mode`` ``session`` the key of ``signer`` signs manifests, and nothing else.
    ``log_witnesses`` is the path of a witness policy (tlog-policy), or empty: then checkpoints are published, or taken,
    as the log signed them. With ``log_integration`` deferred, the log of this machine signs for records when their run
    ends, or when it is told to. For a log that others keep, ``log_key`` is its verifier key, ``log_token_file`` the
    path of the token that may write, or empty; of Rekor v1 ``log_origin`` must be named, ``host - tree id``.
    ``endorsements`` says where what vouches for the platform is fetched, for a TEE that has none of its own to give.
    ``tsa`` is the URL of the time-stamp authority that each record shall be shown to, or empty.
    ``policy`` is the path of the policy that ``AtlasVerifyOperator`` judges by, or empty. ``image`` is the digest of
    the worker's image, which nothing inside it can know.
    """

    mode: Mode
    deployment: str
    home: str
    signer: str
    signer_token_file: str
    signer_audience: str
    attester: str
    attester_mode: AttesterMode
    endorsements: str
    log: str
    log_origin: str
    log_signer: str
    log_witnesses: str
    log_witness_failure: WitnessFailure
    log_integration: LogIntegration
    log_key: str
    log_token_file: str
    allow_public_log: bool
    allow_network_log: bool
    archive: str
    spool: str
    tsa: str
    policy: str
    image: str
    made_keys: frozenset[str]

    @classmethod
    def parse(cls, section: Mapping[str, str], *, home: str) -> "Settings":
        """Return the settings in ``section``, with ``home`` (an absolute path) where it names none.

        Raises ConfigError for an unknown key or a value that is not one.
        """
        unknown = sorted(set(section) - set(DEFAULTS))
        if unknown:
            raise ConfigError(
                f"[atlas] has no setting {', '.join(map(repr, unknown))}; it has {', '.join(sorted(DEFAULTS))}"
            )
        given = {key: value.strip() for key, value in section.items() if value and value.strip()}
        values = {**DEFAULTS, **given}
        values = {**values, **_derived(values, values["home"] or home)}
        made = frozenset(key for key in ("signer", "log_signer") if key not in given)
        parsed = {
            "mode": _mode(values["mode"]),
            "attester_mode": _attester_mode(values["attester_mode"], values["attester"]),
            "log_witness_failure": _failure(values["log_witness_failure"]),
            "log_integration": _integration(values),
            "allow_public_log": _boolean(values, "allow_public_log"),
            "allow_network_log": _boolean(values, "allow_network_log"),
        }
        return cls(**{**values, **parsed}, made_keys=made)  # type: ignore[arg-type]  # all the others are str


def _derived(values: Mapping[str, str], home: str) -> Mapping[str, str]:
    if not PurePosixPath(home).is_absolute():
        raise ConfigError(f"[atlas] home must be an absolute path, and {home!r} is none")
    derived = {
        "home": home,
        "signer": f"file:{home}/keys/task.pem",
        "log": f"posix:{home}/log",
        # A log's key is named as its checkpoints are, so that whoever names the key need not name the origin.
        "log_origin": values["log_key"].partition("+")[0] or f"localhost/{values['deployment']}",
        "log_signer": f"file:{home}/keys/log.pem",
        "archive": f"file:{home}/archive",
        "spool": f"file:{home}/spool",
    }
    return {key: values[key] or default for key, default in derived.items()} | {"home": home}


def _mode(text: str) -> Mode:
    if text not in ("observe", "enforce", "off"):
        raise ConfigError(f"[atlas] mode is observe, enforce or off, and not {text!r}")
    return cast("Mode", text)


def _attester_mode(text: str, attester: str) -> AttesterMode:
    if text not in ("task", "session", "batch"):
        raise ConfigError(f"[atlas] attester_mode is task, session or batch, and not {text!r}")
    scheme = attester.partition(":")[0]
    if text != "task" and scheme == "none":
        raise ConfigError(f"[atlas] attester_mode is {text}, which needs an attester, and attester is {attester!r}")
    if text == "batch" and scheme not in _SHARED:
        raise ConfigError(
            "[atlas] attester_mode is batch, which needs an attester that all tasks of a machine share, since each is "
            "a process of its own: set attester to helper:/a/socket, or attester_mode to session"
        )
    return cast("AttesterMode", text)


def _failure(text: str) -> WitnessFailure:
    if text not in ("open", "closed"):
        raise ConfigError(f"[atlas] log_witness_failure is open or closed, and not {text!r}")
    return cast("WitnessFailure", text)


def _integration(values: Mapping[str, str]) -> LogIntegration:
    text = values["log_integration"]
    if text not in ("sync", "deferred"):
        raise ConfigError(f"[atlas] log_integration is sync or deferred, and not {text!r}")
    if text == "deferred" and values["mode"] == "enforce":
        raise ConfigError("[atlas] log_integration = deferred is for mode = observe: enforce asks for receipts at once")
    if text == "deferred" and not values["log"].startswith("posix:"):
        raise ConfigError("[atlas] log_integration = deferred is for a posix log: all others sign for entries at once")
    return cast("LogIntegration", text)


def _boolean(values: Mapping[str, str], name: str) -> bool:
    text = values[name].lower()  # as Airflow writes and reads them: True, true, False, false
    if text not in ("true", "false"):
        raise ConfigError(f"[atlas] {name} is true or false, and not {values[name]!r}")
    return text == "true"


def path_of(uri: str, scheme: str, setting: str) -> str:
    """Return the absolute path in ``uri``, whose scheme must be ``scheme``.

    Raises ConfigError that names ``setting`` otherwise.
    """
    prefix, _, path = uri.partition(":")
    if prefix != scheme or not PurePosixPath(path).is_absolute():
        raise ConfigError(f"[atlas] {setting} is {uri!r}; expected {scheme}:/an/absolute/path")
    return "/" + path.lstrip("/")


SETTING_NAMES = frozenset(field.name for field in fields(Settings)) - {"made_keys"}
"""The names of the settings, the same as the keys of the section."""
