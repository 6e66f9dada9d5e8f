"""``atlas doctor``: can this machine attest? One line for each part: well, or what to do."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_provider_atlas.cli.arguments import add_json, read_file
from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.encoding import format_time
from airflow_provider_atlas.errors import AtlasError, ConfigError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import archives, logs, signers, tees

_EXAMPLE = """\
example:
  atlas doctor --home /var/lib/atlas

It makes nothing: what is made at its first use is left to that.
"""

_REPORT_DATA_SIZE = 64
_LATER = "will be made at its first use"


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas doctor``."""
    parser.epilog = _EXAMPLE
    add_home(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Check every part, print a line for each: exit 0 when all are well, 2 otherwise."""
    output = Output(json=options.json)
    settings = settings_of(options)
    checks: Sequence[tuple[str, Callable[[Settings], str]]] = (
        ("settings", _settings),
        ("signer", _signer),
        ("attester", _attester),
        ("log", _log),
        ("archive", _archive),
        ("spool", _spool),
        ("policy", _policy),
    )
    results = [(name, *_asked(check, settings)) for name, check in checks]
    for name, well, words in results:
        output.say(f"{'ok     ' if well else 'problem'}  {name:<8}  {words}")
    output.document({"checks": [{"name": name, "ok": well, "detail": words} for name, well, words in results]})
    return 0 if all(well for _, well, _ in results) else 2


def _asked(check: Callable[[Settings], str], settings: Settings) -> tuple[bool, str]:
    try:
        return True, check(settings)
    except AtlasError as error:
        return False, str(error)


def _settings(settings: Settings) -> str:
    if settings.mode == "off":
        raise ConfigError("[atlas] mode is off: nothing is attested; set it to observe or enforce")
    return f"{settings.deployment} in {settings.home}, mode {settings.mode}"


def _signer(settings: Settings) -> str:
    if signers.is_keyless(settings):
        own = signers.certificate_of_worker(settings)
        ends = format_time(own.parsed.not_valid_after_utc)
        return f"{settings.signer}, certifies {own.identity} by {own.issuer}, until {ends}"
    path = path_of(settings.signer, "file", "signer")
    if "signer" in settings.made_keys and not Path(path).exists():
        return f"{path} {_LATER}{_writable(path)}"
    return f"{path}, sha256 {signers.signer(settings).public_key.sha256}"


def _attester(settings: Settings) -> str:
    if settings.attester == "none:":
        return "none: records say nothing of the machine they were made on"
    if settings.attester.startswith(("simulated:", "simulated-snp:")):
        return f"simulated: proves nothing about any hardware, for development alone (mode {settings.attester_mode})"
    tee = tees.attester(settings)
    given = tee.attest(bytes(_REPORT_DATA_SIZE)).provider if tee else "nothing"
    return f"{settings.attester}, gives evidence of {given} (mode {settings.attester_mode})"


def _log(settings: Settings) -> str:
    if not settings.log.startswith("posix:"):
        return _at(settings, settings.log.removeprefix("rekor-v2:").removeprefix("rekor-v1:"))
    path = path_of(settings.log, "posix", "log")
    if not Path(path).exists():
        return f"{path} {_LATER}{_writable(path)}"
    return _at(settings, path)


def _at(settings: Settings, place: str) -> str:
    checkpoint = logs.transparency_log(settings).latest()
    size = checkpoint.size if checkpoint else 0
    return f"{place}, {size} entries, key {logs.log_verifier_key(settings)}"


def _archive(settings: Settings) -> str:
    path = path_of(settings.archive, "file", "archive")
    return f"{path}{_writable(path)}"


def _spool(settings: Settings) -> str:
    path = path_of(settings.spool, "file", "spool")
    waiting = len(archives.spool(settings).names()) if Path(path).exists() else 0
    if waiting:
        raise ConfigError(f"{waiting} records wait in {path}: run `atlas log drain` when the log is there again")
    return f"{path}, empty{_writable(path)}"


def _policy(settings: Settings) -> str:
    if not settings.policy:
        return "none: AtlasVerifyOperator needs one; `atlas policy init` writes a policy to start from"
    return f"{settings.policy}, {Policy.parse(read_file(settings.policy, 'the policy')).name}"


def _writable(path: str) -> str:
    """Return nothing. Raises ConfigError when this user could not write below ``path``, or make it."""
    place = Path(path)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise ConfigError(f"this user cannot write to {place}: make {path} a folder that it can")
    return ""
