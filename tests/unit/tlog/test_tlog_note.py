import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteSignature,
    SignedNote,
    VerifierKey,
    sign,
    verify,
)

# The example of golang.org/x/mod/sumdb/note (BSD-3-Clause), and the note that its documentation signs with it.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
TEXT = "a text\n"
ALICE = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
BOB = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
ALICE_KEY = VerifierKey.of("alice.example", ALICE)
BOB_KEY = VerifierKey.of("bob.example", BOB)


def signed_by_both() -> SignedNote:
    first, second = sign(TEXT, "alice.example", ALICE), sign(TEXT, "bob.example", BOB)
    return SignedNote(text=TEXT, signatures=first.signatures + second.signatures)


def forged(key: VerifierKey) -> NoteSignature:
    return NoteSignature(name=key.name, key_id=key.key_id, signature=bytes(64))


def test_note_of_another_implementation_verifies():
    note = SignedNote.parse(NEUMANN.encode())
    key = VerifierKey.parse(PETER)
    assert verify(note, [key]) == (key,)
    assert note.to_bytes() == NEUMANN.encode()


def test_verifier_key_of_another_implementation_keeps_its_spelling():
    assert str(VerifierKey.parse(PETER)) == PETER


def test_key_whose_base64_holds_a_plus_is_parsed():
    keys = (VerifierKey.of("x", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in range(256))
    key = next(key for key in keys if "+" in str(key).split("+", 2)[2])
    assert VerifierKey.parse(str(key)) == key


def test_every_known_key_that_signed_is_told():
    assert verify(signed_by_both(), [BOB_KEY, ALICE_KEY]) == (ALICE_KEY, BOB_KEY)


def test_note_that_was_changed_is_refused():
    note = SignedNote.parse(signed_by_both().to_bytes().replace(b"a text", b"A text"))
    with pytest.raises(SignatureError):
        verify(note, [ALICE_KEY])


def test_note_that_no_known_key_signed_is_refused():
    with pytest.raises(SignatureError):
        verify(sign(TEXT, "bob.example", BOB), [ALICE_KEY])


def test_note_is_refused_when_no_key_is_known():
    with pytest.raises(SignatureError):
        verify(signed_by_both(), [])


def test_wrong_signature_of_a_known_key_spoils_the_good_one():
    note = sign(TEXT, "alice.example", ALICE)
    spoilt = SignedNote(text=TEXT, signatures=(*note.signatures, forged(BOB_KEY)))
    assert verify(spoilt, [ALICE_KEY]) == (ALICE_KEY,)
    with pytest.raises(SignatureError):
        verify(spoilt, [ALICE_KEY, BOB_KEY])


def test_wrong_signature_after_a_good_one_of_the_same_key_is_refused():
    note = sign(TEXT, "alice.example", ALICE)
    with pytest.raises(SignatureError):
        verify(SignedNote(text=TEXT, signatures=(*note.signatures, forged(ALICE_KEY))), [ALICE_KEY])


@pytest.mark.parametrize(
    ("name", "key_id"),
    [("alice.example", bytes(4)), ("mallory.example", ALICE_KEY.key_id)],
    ids=["name of a known key", "id of a known key"],
)
def test_signature_that_shares_only_half_of_a_known_key_is_ignored(name, key_id):
    stranger = NoteSignature(name=name, key_id=key_id, signature=bytes(64))
    note = sign(TEXT, "alice.example", ALICE)
    assert verify(SignedNote(text=TEXT, signatures=(stranger, *note.signatures)), [ALICE_KEY]) == (ALICE_KEY,)


def test_signature_of_one_name_does_not_count_for_another():
    with pytest.raises(SignatureError):
        verify(sign(TEXT, "alice.example", ALICE), [VerifierKey.of("eve.example", ALICE)])


def test_text_may_hold_empty_lines_and_lines_that_look_like_signatures():
    text = "one\n\n— alice.example AAAAAAA=\n\n"
    note = sign(text, "alice.example", ALICE)
    assert SignedNote.parse(note.to_bytes()) == note
    assert verify(note, [ALICE_KEY])


@pytest.mark.parametrize("count", [16, MAX_SIGNATURES])
def test_note_with_many_signatures_is_accepted(count):
    note = sign(TEXT, "alice.example", ALICE)
    strangers = (forged(BOB_KEY),) * (count - 1)
    parsed = SignedNote.parse(SignedNote(text=TEXT, signatures=strangers + note.signatures).to_bytes())
    assert verify(parsed, [ALICE_KEY]) == (ALICE_KEY,)


def test_note_with_too_many_signatures_is_malformed():
    note = SignedNote(text=TEXT, signatures=(forged(BOB_KEY),) * (MAX_SIGNATURES + 1))
    with pytest.raises(MalformedError):
        SignedNote.parse(note.to_bytes())


def test_note_beyond_the_size_limit_is_malformed():
    note = sign("a" * MAX_NOTE_BYTES + "\n", "alice.example", ALICE)
    with pytest.raises(MalformedError):
        SignedNote.parse(note.to_bytes())


LINE = str(sign(TEXT, "alice.example", ALICE).signatures[0])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"a text\n",
        b"a text\n\n",
        f"a text\n{LINE}\n".encode(),
        f"a text\n\n{LINE}".encode(),
        f"a text\n\n{LINE}\n\n".encode(),
        f"a text\n\n{LINE}\r\n".encode(),
        f"a\x00text\n\n{LINE}\n".encode(),
        f"a\ttext\n\n{LINE}\n".encode(),
        f"a text\n\n{LINE}\n".encode().replace("—".encode(), b"-"),
        f"a text\n\n {LINE}\n".encode(),
        f"a text\n\n{LINE} \n".encode(),
        f"a text\n\n{LINE}=\n".encode(),
        f"a text\n\n{LINE[:-1]}\n".encode(),
        f"a text\n\n{LINE.replace('alice.example', 'ali ce')}\n".encode(),
        f"a text\n\n{LINE.replace('alice.example', 'ali+ce')}\n".encode(),
        f"a text\n\n{LINE}\n".replace("alice.example", "ali\u00a0ce").encode(),
        f"a text\n\n{LINE.replace('alice.example', '')}\n".encode(),
        f"a text\n\n{LINE.replace(' ', '  ')}\n".encode(),
        b"a text\n\n\xe2\x80\x94 alice.example AAAAAA==\n",
        b"a \xff\n\n" + LINE.encode() + b"\n",
        b"a \xed\xa0\x80\n\n" + LINE.encode() + b"\n",
    ],
)
def test_everything_but_the_one_spelling_of_a_note_is_malformed(data):
    with pytest.raises(MalformedError):
        SignedNote.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("c74f20a3", "C74F20A3"),
        PETER.replace("c74f20a3", "+c74f20a3"),
        PETER.replace("Peter", "Peter "),
        PETER.replace("Peter", ""),
        PETER + "\n",
        PETER[:-1],
        PETER + "A" * 2000,
        "PeterNeumann+c74f20a3+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+00000000+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "\ud800+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_everything_but_the_one_spelling_of_a_verifier_key_is_malformed(text):
    with pytest.raises(MalformedError):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a\x7f b", "\ud800"])
def test_name_that_cannot_name_a_key_is_not_signed_with(name):
    with pytest.raises(MalformedError):
        sign(TEXT, name, ALICE)


@pytest.mark.parametrize("text", ["", "no newline", "a\x01b\n", "a\r\n", "\ud800\n"])
def test_text_that_cannot_stand_in_a_note_is_not_signed(text):
    with pytest.raises(MalformedError):
        sign(text, "alice.example", ALICE)
