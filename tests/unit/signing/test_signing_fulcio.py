"""The signer without a key of its own: when it asks for a certificate, what it takes for one, what it never tells."""

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from airflow_provider_atlas.errors import ConfigError, SigningError
from airflow_provider_atlas.fetching import checked_url
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.signing.backends.fulcio import FulcioSigner
from airflow_provider_atlas.signing.backends.fulcio_client import FulcioClient
from airflow_provider_atlas.wiring import signers
from tests.support.fulcio import IDENTITY, ISSUER, Fulcio, serving_fulcio, token

MINUTE = timedelta(minutes=1)
TSA = "http://127.0.0.1:1/tsa"


class Asked:
    """A Fulcio that counts; ``answers`` come before its own."""

    def __init__(self):
        self.fulcio, self.answers, self.bodies = Fulcio(), [], []

    def __call__(self, body):
        self.bodies.append(body)
        return self.answers.pop(0) if self.answers else self.fulcio.answer(body)


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def url(asked):
    with serving_fulcio(asked) as served:
        yield served


def signer(url, given=None, **how):
    client = FulcioClient(url, pause=lambda _: None)
    return FulcioSigner(client, lambda: token() if given is None else given, "sigstore", **how)


def test_nothing_is_asked_before_something_is_signed(asked, url):
    made = signer(url)
    assert asked.bodies == []
    made.public_key.verify(made.sign(b"message"), b"message")
    certified = made.certified()
    assert (certified.certificate.identity, certified.certificate.issuer) == (IDENTITY, ISSUER)
    assert len(asked.bodies) == 1


def test_a_certificate_is_used_until_two_minutes_before_its_end_and_then_renewed_with_its_key(asked, url):
    now = datetime.now(UTC).replace(microsecond=0)
    asked.fulcio.clock = lambda: now
    made = signer(url, clock=lambda: now + elapsed)
    elapsed = 0 * MINUTE
    first = made.certified()
    elapsed = 8 * MINUTE - timedelta(seconds=1)
    assert made.certified() is first
    elapsed = 8 * MINUTE
    asked.fulcio.clock = lambda: now + elapsed
    second = made.certified()
    assert second.public_key != first.public_key
    first.public_key.verify(first.sign(b"message"), b"message")  # what a record began with, it ends with
    assert len(asked.bodies) == 2


def test_the_token_is_read_anew_each_time(url):
    tokens = [token(identity=f"{IDENTITY}/{number}") for number in range(2)]
    made = FulcioSigner(FulcioClient(url), lambda: tokens.pop(0), "sigstore")
    assert made.certified().certificate.identity == f"{IDENTITY}/0"
    made._current = None
    assert made.certified().certificate.identity == f"{IDENTITY}/1"


def test_a_child_process_has_what_its_parent_had(asked, url):
    made = signer(url)
    key = made.public_key
    child = os.fork()
    if child == 0:
        os._exit(0 if made.public_key == key and made.sign(b"message") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(asked.bodies) == 1


def test_threads_that_come_together_all_get_keys_that_are_certified(url):
    made, held = signer(url), []
    threads = [Thread(target=lambda: held.append(made.certified())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 8
    for each in held:
        each.certificate.public_key.verify(each.sign(b"message"), b"message")


@pytest.mark.parametrize(
    "given",
    ["", "no token", token(life=-60), token(audience="somebody else"), token() + "x" * 10_000_000],
    ids=["nothing", "no token", "expired", "of another audience", "huge"],
)
def test_a_token_that_cannot_be_used_is_shown_to_nobody(asked, url, given):
    with pytest.raises(SigningError, match="signer_token_file") as raised:
        signer(url, given).sign(b"message")
    assert asked.bodies == []
    assert len(given) < 20 or given not in str(raised.value)


def test_a_fulcio_that_is_away_or_busy_is_asked_again(asked, url):
    asked.answers = [(503, b""), (429, b"")]
    assert signer(url).sign(b"message")
    assert len(asked.bodies) == 3


def test_a_fulcio_that_stays_busy_is_given_up(asked, url):
    asked.answers = [(503, b"")] * 9
    with pytest.raises(SigningError, match=r"busy \(HTTP 503\)"):
        signer(url).sign(b"message")
    assert 3 <= len(asked.bodies) < 9


def test_a_fulcio_that_is_not_there_is_said_to_be_away():
    with serving_fulcio(lambda _: (200, b"")) as gone:
        pass
    with pytest.raises(SigningError, match=f"{gone} is away"):
        signer(gone).sign(b"message")


def test_a_refusal_is_told_without_the_token(asked, url):
    given = token()
    asked.answers = [(400, json.dumps({"message": f"the token {given} was not good"}).encode())]
    with pytest.raises(SigningError, match="was not good") as raised:
        signer(url, given).sign(b"message")
    assert given not in str(raised.value)
    assert len(asked.bodies) == 1


def test_no_message_of_any_library_has_the_token(asked, url, caplog):
    given = token()
    with caplog.at_level(logging.DEBUG):
        signer(url, given).sign(b"message")
    assert given.encode() in asked.bodies[0]
    assert given not in caplog.text


def chain(*certificates, member="signedCertificateEmbeddedSct"):
    return json.dumps({member: {"chain": {"certificates": list(certificates)}}}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        chain(),
        chain(1),
        chain("no certificate"),
        chain("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        chain(Fulcio().pem),
        chain(Fulcio().pem, member="signedCertificateDetachedSct"),
        b" " * (2 << 20),
    ],
    ids=range(11),
)
def test_an_answer_that_is_no_signing_certificate_is_refused(asked, url, answer):
    asked.answers = [(200, answer)]
    with pytest.raises(SigningError, match=r"answered is no|at most 1048576 bytes"):
        signer(url).sign(b"message")


def test_a_certificate_of_another_key_is_refused(asked, url):
    signer(url).sign(b"message")
    asked.answers = [asked.fulcio.answer(asked.bodies[0])]
    with pytest.raises(SigningError, match="not of another"):
        signer(url).sign(b"message")


@pytest.mark.parametrize("by", [-9 * MINUTE, 2 * MINUTE])
def test_a_certificate_that_does_not_hold_now_is_refused(asked, url, by):
    asked.fulcio.clock = lambda: datetime.now(UTC) + by
    with pytest.raises(SigningError, match="compare the clocks"):
        signer(url).sign(b"message")


def settings(tmp_path, **section):
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(token())
    named = {"signer": "fulcio:http://127.0.0.1:1", "signer_token_file": str(path), "tsa": TSA}
    return Settings.parse({**named, **section}, home=str(tmp_path))


@pytest.mark.parametrize("missing", ["signer_token_file", "tsa"])
def test_a_token_and_an_authority_are_needed(tmp_path, missing):
    with pytest.raises(ConfigError, match=rf"\[atlas\] {missing} must name"):
        signers.signer(settings(tmp_path, **{missing: ""}))


def test_a_token_that_others_can_read_is_used_for_nothing(tmp_path):
    made = signers.signer(settings(tmp_path))
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(SigningError, match="open to others"):
        made.sign(b"message")
    (tmp_path / "token").unlink()
    with pytest.raises(SigningError, match="cannot read the identity token"):
        made.sign(b"message")


def test_the_public_fulcio_is_refused_unless_it_is_allowed(tmp_path):
    public = "fulcio:https://fulcio.sigstore.dev"
    with pytest.raises(ConfigError, match="allow_public_log"):
        signers.signer(settings(tmp_path, signer=public))
    assert signers.signer(settings(tmp_path, signer=public, allow_public_log="true"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "fulcio.example",
        "http://fulcio.example",
        "https://",
        "https://user@fulcio.example",
        "https://fulcio.example?x=1",
        "https://fulcio.example#x",
        "https://fulcio.example:port",
        "file:///fulcio",
        "https://[::1",
        "https://SIGSTORE.dev.",
    ],
)
def test_an_address_that_may_not_be_used_is_refused(url):
    with pytest.raises(ConfigError, match=r"signer|public"):
        checked_url(url, setting="[atlas] signer", public="it tells everybody")


@pytest.mark.parametrize(
    "url", ["https://fulcio.example/sub", "http://127.0.0.1:5555", "http://localhost", "http://[::1]"]
)
def test_an_address_that_may_be_used_is_left_as_it_is(url):
    assert checked_url(url, setting="[atlas] signer", public="it tells everybody") == url


def test_the_token_follows_no_redirect(asked, url):
    asked.answers = [(307, b"{}")]
    with pytest.raises(SigningError, match="HTTP 307"):
        signer(url).sign(b"message")
    assert len(asked.bodies) == 1
