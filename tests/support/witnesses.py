"""Witnesses to test with: one that speaks Ed25519, one that speaks ML-DSA-44, and policies that ask for them."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.cosignature import Cosigner
from airflow_provider_atlas.tlog.note import SignedNote, sign
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from tests.support.logs import ORIGIN, SIGNING_KEY


def ed25519(number: int) -> Cosigner:
    """Return the witness ``w<number>.example``."""
    return Cosigner(name=f"w{number}.example", key=Ed25519PrivateKey.from_private_bytes(bytes([100 + number]) * 32))


W1, W2, W3 = map(ed25519, (1, 2, 3))
QUANTUM = Cosigner(name="quantum.example", key=MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))))
NOW = 1_764_000_000


def signed_checkpoint(size: int = 7, root: bytes = bytes(range(32)), extensions: tuple[str, ...] = ()) -> SignedNote:
    """Return a checkpoint of the tests' log, signed by it alone."""
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=root, extensions=extensions)
    return sign(checkpoint.to_text(), ORIGIN, SIGNING_KEY)


def cosigned_by(note: SignedNote, *witnesses: Cosigner, at: int = NOW) -> SignedNote:
    """Return ``note`` with a line of each of ``witnesses``."""
    lines = tuple(witness.cosign(note.text, at) for witness in witnesses)
    return SignedNote(text=note.text, signatures=note.signatures + lines)


def policy_text(witnesses: Sequence[Cosigner], threshold: int, urls: Sequence[str] = ()) -> str:
    """Return a policy that asks for ``threshold`` of ``witnesses``."""
    names = [f"n{number}" for number in range(len(witnesses))]
    places = [*urls, *[""] * (len(witnesses) - len(urls))]
    lines = [
        f"witness {name} {witness.verifier_key} {url}".rstrip()
        for name, witness, url in zip(names, witnesses, places, strict=True)
    ]
    return "\n".join([*lines, f"group all-of-them {threshold} {' '.join(names)}", "quorum all-of-them", ""])


def policy_of(witnesses: Sequence[Cosigner], threshold: int, urls: Sequence[str] = ()) -> WitnessPolicy:
    """Return the policy in ``policy_text``."""
    return WitnessPolicy.parse(policy_text(witnesses, threshold, urls).encode())
