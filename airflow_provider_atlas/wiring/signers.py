"""Settings and paths → keys that sign tasks."""

from pathlib import Path

from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.signer import Signer


def signer(settings: Settings) -> Signer:
    """Return the signer of tasks. Raises ConfigError when its key cannot be used."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    path = Path(path_of(settings.signer, "file", "signer"))
    return KeyFileSigner.load_or_create(path) if "signer" in settings.made_keys else KeyFileSigner.load(path)


def make_key(path: str) -> PublicKey:
    """Make a key that signs tasks in the new file ``path``; return its public half. Raises ConfigError."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    return KeyFileSigner.create(path).public_key


def key_file_signer(path: str) -> Signer:
    """Return the signer with the private key in the file ``path``. Raises ConfigError when it cannot be used."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    return KeyFileSigner.load(path)


def public_half(path: str) -> PublicKey:
    """Return the public half of the private key in the file ``path``. Raises ConfigError when it cannot be used."""
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    return KeyFileSigner.load(path).public_key
