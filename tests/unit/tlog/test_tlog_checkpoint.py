import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.checkpoint import MAX_SIZE, Checkpoint, SignedCheckpoint, verify_checkpoint
from airflow_provider_atlas.tlog.note import VerifierKey, sign

ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TEXT = f"example.com/behind-the-sofa\n20852163\n{ROOT}\n"  # c2sp.org/tlog-checkpoint
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NAME = "example.com/behind-the-sofa"
VERIFIER = VerifierKey.of(NAME, KEY)


def test_checkpoint_of_the_specification_is_read_and_written():
    checkpoint = Checkpoint.parse(TEXT)
    assert (checkpoint.origin, checkpoint.size, len(checkpoint.root)) == (NAME, 20852163, 32)
    assert checkpoint.to_text() == TEXT


def test_extension_lines_of_other_logs_are_kept():
    text = TEXT + "Timestamp: 1\nmore\n"
    assert Checkpoint.parse(text).extensions == ("Timestamp: 1", "more")
    assert Checkpoint.parse(text).to_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        "\n" + TEXT,
        TEXT.replace("20852163", "+20852163"),
        TEXT.replace("20852163", "020852163"),
        TEXT.replace("20852163", "2_0"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("20852163", " 1"),
        TEXT.replace("20852163", "\u0661"),
        TEXT.replace("20852163", str(MAX_SIZE + 1)),
        TEXT.replace(ROOT, ROOT[:-1]),
        TEXT.replace(ROOT, ROOT.replace("I=", "J=")),
        TEXT.replace(ROOT, "AAAA"),
        TEXT.replace(ROOT, ""),
        TEXT.replace(ROOT, ROOT + " "),
        TEXT + "\nextension\n",
    ],
)
def test_everything_but_the_one_spelling_of_a_checkpoint_is_malformed(text):
    with pytest.raises(MalformedError):
        Checkpoint.parse(text)


def test_checkpoint_of_the_log_is_believed():
    note = sign(TEXT, NAME, KEY)
    assert verify_checkpoint(note, NAME, [VERIFIER]) == Checkpoint.parse(TEXT)
    signed = SignedCheckpoint.parse(note.to_bytes())
    assert signed.verify(NAME, [VERIFIER]) == signed.checkpoint


def test_checkpoint_of_another_log_by_the_same_key_is_refused():
    note = sign(TEXT.replace(NAME, "example.com/other"), NAME, KEY)
    with pytest.raises(SignatureError):
        verify_checkpoint(note, NAME, [VERIFIER])


def test_checkpoint_by_another_key_is_refused():
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    with pytest.raises(SignatureError):
        verify_checkpoint(sign(TEXT, NAME, other), NAME, [VERIFIER])


def test_signed_note_that_is_no_checkpoint_is_malformed():
    with pytest.raises(MalformedError):
        SignedCheckpoint.parse(sign("hello\n", NAME, KEY).to_bytes())
