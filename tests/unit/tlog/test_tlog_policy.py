"""Witness policies: the grammar of tlog-policy, all of it and no more, and when a quorum is one."""

import pytest

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import InclusionError, MalformedError, SignatureError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import VerifierKey, sign
from airflow_provider_atlas.tlog.policy import MAX_LINES, WitnessPolicy
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entry
from tests.support.witnesses import QUANTUM, W1, W2, W3, cosigned_by, ed25519, policy_of, policy_text, signed_checkpoint

TWO_LEVELS = f"""\
# Two organisations.

log {KEY} https://log.example/
witness X1 {W1.verifier_key}
\twitness  X2\t{W2.verifier_key}   https://w2.example/x
group X any X1 X2
  # the other one
witness Yß {QUANTUM.verifier_key}
group X-and-Y all X Yß
quorum X-and-Y
"""


def parsed(text: str) -> WitnessPolicy:
    return WitnessPolicy.parse(text.encode())


def test_a_policy_of_two_levels_is_read():
    policy = parsed(TWO_LEVELS)
    assert [(log.key, log.url) for log in policy.logs] == [(KEY, "https://log.example/")]
    assert [(each.name, each.url) for each in policy.witnesses] == [
        ("X1", None),
        ("X2", "https://w2.example/x"),
        ("Yß", None),
    ]
    assert [(group.name, group.threshold) for group in policy.groups] == [("X", 1), ("X-and-Y", 2)]
    assert parsed(policy.to_text()) == policy
    assert parsed(policy.to_text()).to_text() == policy.to_text()


@pytest.mark.parametrize(
    ("names", "holds"),
    [
        ([], False),
        (["X1"], False),
        (["X1", "X2"], False),
        (["Yß"], False),
        (["X2", "Yß"], True),
        (["X", "Yß"], False),  # a group is no witness, whatever anybody says it is called
    ],
)
def test_a_quorum_is_what_the_groups_make_it(names: list[str], holds: bool):
    assert parsed(TWO_LEVELS).holds(names) is holds


def test_none_asks_for_nobody():
    policy = parsed("quorum none\n")
    assert policy.quorum is None
    assert policy.check(signed_checkpoint()) == []


def test_one_witness_may_be_the_quorum():
    policy = parsed(f"witness one {W1.verifier_key}\nquorum one\n")
    assert policy.check(cosigned_by(signed_checkpoint(), W1)) == ["one"]
    with pytest.raises(SignatureError, match="none"):
        policy.check(signed_checkpoint())


def test_below_the_quorum_is_refused_and_strangers_do_not_help():
    policy, note = policy_of([W1, W2, W3], 2), signed_checkpoint()
    assert policy.check(cosigned_by(note, W3, W1)) == ["n0", "n2"]
    with pytest.raises(SignatureError, match="of its 3 witnesses 1 did: n0"):
        policy.check(cosigned_by(note, W1, W1, ed25519(7), QUANTUM))


def test_a_witness_counts_once():
    with pytest.raises(MalformedError):
        parsed(policy_text([W1, W1], 2))
    with pytest.raises(SignatureError):
        policy_of([W1, W2], 2).check(cosigned_by(signed_checkpoint(), W1, W1))


VKEY = str(W1.verifier_key)
WITNESS = f"witness a {VKEY}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "quorum none",
        "quorum none\nquorum none\n",
        "quorum\n",
        "quorum none none\n",
        "quorum a\n",
        f"quorum a\n{WITNESS}",
        "Quorum none\n",
        "quorum none # a comment\n",
        "quorum\u00a0none\n",
        "quorum none\r\n",
        "quorum none\x0b\n",
        "quorum none\nwhat is this\n",
        f"witness {VKEY}\nquorum none\n",
        f"witness none {VKEY}\nquorum none\n",
        f"witness a {KEY}\nquorum a\n",  # a log's key is no witness's
        f"log {VKEY}\nquorum none\n",  # nor a witness's a log's
        f"log {KEY}\nlog {KEY}\nquorum none\n",
        f"log {VerifierKey.of('another.example', SIGNING_KEY)}\nlog {KEY}\nquorum none\n",
        f"{WITNESS}{WITNESS}quorum a\n",
        f"{WITNESS}witness b {VKEY}\nquorum a\n",
        f"{WITNESS}witness a {W2.verifier_key}\nquorum a\n",
        f"{WITNESS}group g 1\nquorum g\n",
        f"{WITNESS}group g 0 a\nquorum g\n",
        f"{WITNESS}group g 2 a\nquorum g\n",
        f"{WITNESS}group g 01 a\nquorum g\n",
        f"{WITNESS}group g -1 a\nquorum g\n",
        f"{WITNESS}group g ANY a\nquorum g\n",
        f"{WITNESS}group g any a a\nquorum g\n",
        f"{WITNESS}group g any g\nquorum g\n",
        f"{WITNESS}group g any none\nquorum g\n",
        f"{WITNESS}group none any a\nquorum none\n",
        f"{WITNESS}group a any a\nquorum a\n",
        f"{WITNESS}group g any a\ngroup h any a\nquorum h\n",
        f"group g any a\n{WITNESS}quorum g\n",
    ],
)
def test_what_the_grammar_does_not_have_is_malformed(text: str):
    with pytest.raises(MalformedError):
        parsed(text)


def test_what_is_not_utf8_or_too_much_is_malformed():
    for data in (b"quorum none # \xff\n", b"# \xe2\x84\nquorum none\n", b"#" * (1 << 18) + b"\nquorum none\n"):
        with pytest.raises(MalformedError):
            WitnessPolicy.parse(data)
    too_many = [f"witness w{number} {ed25519(number).verifier_key}\n" for number in range(MAX_LINES + 1)]
    with pytest.raises(MalformedError):
        parsed("".join([*too_many, "quorum none\n"]))
    assert len(parsed("".join([*too_many[:-1], "quorum none\n"])).witnesses) == MAX_LINES


def receipt_of(*witnesses) -> Receipt:
    text = Checkpoint(origin=ORIGIN, size=1, root=merkle.leaf_hash(entry(0))).to_text()
    return Receipt(index=0, hashes=(), note=cosigned_by(sign(text, ORIGIN, SIGNING_KEY), *witnesses))


def test_a_trusted_log_asks_for_its_quorum():
    log = TrustedLog(origin=ORIGIN, key=KEY, witnesses=policy_of([W1, W2, QUANTUM], 2))
    assert log.is_witnessed
    assert log.check(receipt_of(W1, QUANTUM), entry(0)).size == 1
    with pytest.raises(SignatureError):
        log.check(receipt_of(W1), entry(0))
    with pytest.raises(InclusionError):
        log.check(receipt_of(W1, W2), entry(1))


def test_a_trusted_log_without_witnesses_asks_for_none():
    for witnesses in (None, parsed("quorum none\n")):
        log = TrustedLog(origin=ORIGIN, key=KEY, witnesses=witnesses)
        assert not log.is_witnessed
        assert log.check(receipt_of(), entry(0)).size == 1
