"""Settings and paths → keys that sign tasks."""

from pathlib import Path

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.signer import KeylessSigner, Signer


def signer(settings: Settings) -> Signer:
    """Return the signer of tasks. Raises ConfigError when its key, or the service that certifies it, cannot be used."""
    if is_keyless(settings):
        return _keyless_signer(settings)
    from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner

    path = Path(path_of(settings.signer, "file", "signer"))
    return KeyFileSigner.load_or_create(path) if "signer" in settings.made_keys else KeyFileSigner.load(path)


def is_keyless(settings: Settings) -> bool:
    """Return whether the signer has no key of its own: a certificate says whose its keys are, for some minutes."""
    return settings.signer.startswith("fulcio:")


def certificate_of_worker(settings: Settings) -> Certificate:
    """Return a certificate of this worker, from Fulcio, made now. Raises ConfigError, or SigningError without one."""
    return _keyless_signer(settings).certified().certificate


def _keyless_signer(settings: Settings) -> KeylessSigner:
    from airflow_provider_atlas.fetching import checked_url
    from airflow_provider_atlas.signing.backends.fulcio import FulcioSigner
    from airflow_provider_atlas.signing.backends.fulcio_client import FulcioClient
    from airflow_provider_atlas.tlog.backends.private_file import read_private

    told = None if settings.allow_public_log else "it tells everybody, for ever, who your workers are"
    url = checked_url(settings.signer.removeprefix("fulcio:"), setting="[atlas] signer", public=told)
    if not settings.signer_token_file:
        raise ConfigError("[atlas] signer_token_file must name the file of the identity token that Fulcio is shown")
    if not settings.tsa:
        raise ConfigError(
            "[atlas] tsa must name a time-stamp authority: without one, no certificate of Fulcio's counts"
        )
    token = Path(settings.signer_token_file)
    client = FulcioClient(url)
    return FulcioSigner(client, lambda: read_private(token, "the identity token"), settings.signer_audience)


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
