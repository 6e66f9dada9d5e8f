"""The certificates inside a quote, and the one spelling of their PEM."""

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.tdx.certification import PckChain

CERTIFICATES = (b"\x30" * 100, b"\x31" * 48, b"\x32")
PEM = to_pem(*CERTIFICATES)


@pytest.mark.parametrize("end", [b"", b"\0"])
def test_a_chain_may_end_in_a_nul_or_not(end: bytes):
    chain = PckChain.parse(PEM + end)
    assert (chain.pck, chain.ca, chain.root) == CERTIFICATES
    assert chain.to_bytes() == PEM + end


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_chain_has_three_certificates(count: int):
    with pytest.raises(MalformedError, match="three certificates"):
        PckChain.parse(to_pem(*[b"\x30"] * count))


@pytest.mark.parametrize(
    "pem",
    [
        PEM + b"\n",
        PEM + b"\0\0",
        b"\n" + PEM,
        b"Bag Attributes\n" + PEM,
        PEM.replace(b"\n", b"\r\n"),
        PEM.removesuffix(b"\n"),
        PEM.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
        PEM.replace(b"MDAw", b"MDA\nw", 1),
        PEM.replace(b"MDAw", b"MD A", 1),
        PEM.replace(b"Mg==", b"Mh=="),
        PEM.replace(b"-----BEGIN CERTIFICATE-----\n", b"", 1),
        b"\xff" + PEM,
    ],
)
def test_a_chain_in_another_spelling_is_refused(pem: bytes):
    with pytest.raises(MalformedError):
        PckChain.parse(pem)


def test_no_certificates_are_spelled_by_nothing():
    assert parse_pem(b"") == ()
