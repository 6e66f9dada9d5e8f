"""What the commands about a log take: where it is, the key that it signs with, the witnesses that must have seen it."""

from argparse import ArgumentParser, Namespace

from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.wiring import logs


def add_log(parser: ArgumentParser) -> None:
    """Add the log and ``--key``."""
    parser.add_argument("log", metavar="LOG", help="its folder, or its http(s)://, s3:// or postgresql:// URI")
    parser.add_argument("--key", required=True, metavar="VKEY", help="the log's verifier key, name+id+key")


def add_witnesses(parser: ArgumentParser) -> None:
    """Add ``--witnesses``."""
    parser.add_argument("--witnesses", metavar="FILE", help="a witness policy (tlog-policy) whose quorum must cosign")


def log_key(options: Namespace) -> VerifierKey:
    """Return the key that ``--key`` names. Raises ConfigError when it is none."""
    return verifier_key(options.key)


def verifier_key(text: str) -> VerifierKey:
    """Return the log's key that ``text`` spells. Raises ConfigError when it is none."""
    try:
        return VerifierKey.parse(text)
    except MalformedError as error:
        raise ConfigError(f"cannot use --key: {error}") from error


def witnesses(options: Namespace) -> WitnessPolicy | None:
    """Return the policy that ``--witnesses`` names, or None without one. Raises ConfigError when it is none."""
    return logs.read_witness_policy(options.witnesses) if options.witnesses else None
