"""Settings: the ``[atlas]`` section, parsed once, frozen; unknown keys are refused.

Backends are URIs whose scheme picks them: ``file:/etc/atlas/task.pem``, ``posix:/var/lib/atlas/log``. A log that many
hosts share is ``s3://bucket/prefix?endpoint=https://…&region=…`` or ``postgresql://user@host/database``; what is secret
for them comes from the environment, and is refused in the setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Literal, cast

from airflow_provider_atlas.errors import ConfigError

Mode = Literal["observe", "enforce", "off"]
"""What happens when a task cannot be attested: it is noticed, it fails, or nothing is attested at all."""

DEFAULTS: Mapping[str, str] = {
    "mode": "observe",
    "deployment": "airflow",
    "home": "",
    "signer": "",
    "attester": "none:",
    "log": "",
    "log_origin": "",
    "log_signer": "",
    "archive": "",
    "spool": "",
    "policy": "",
    "image": "",
}
"""Every key, with its default; an empty one is derived from ``home`` or ``deployment``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One deployment's settings, complete and checked.

    ``signer``, ``attester``, ``log``, ``log_signer``, ``archive`` and ``spool`` are URIs. A key that was named must
    exist; a default one is made at its first use, and ``made_keys`` says which those are. ``policy`` is the path of
    the policy that ``AtlasVerifyOperator`` judges by, or empty. ``image`` is the digest of the worker's image, which
    nothing inside it can know.
    """

    mode: Mode
    deployment: str
    home: str
    signer: str
    attester: str
    log: str
    log_origin: str
    log_signer: str
    archive: str
    spool: str
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
        return cls(**{**values, "mode": _mode(values["mode"])}, made_keys=made)  # type: ignore[arg-type]  # all str but mode


def _derived(values: Mapping[str, str], home: str) -> Mapping[str, str]:
    if not PurePosixPath(home).is_absolute():
        raise ConfigError(f"[atlas] home must be an absolute path, and {home!r} is none")
    derived = {
        "home": home,
        "signer": f"file:{home}/keys/task.pem",
        "log": f"posix:{home}/log",
        "log_origin": f"localhost/{values['deployment']}",
        "log_signer": f"file:{home}/keys/log.pem",
        "archive": f"file:{home}/archive",
        "spool": f"file:{home}/spool",
    }
    return {key: values[key] or default for key, default in derived.items()} | {"home": home}


def _mode(text: str) -> Mode:
    if text not in ("observe", "enforce", "off"):
        raise ConfigError(f"[atlas] mode is observe, enforce or off, and not {text!r}")
    return cast("Mode", text)


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
