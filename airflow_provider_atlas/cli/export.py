"""``atlas export``: a run in a form that other people's tools read, such as an unmodified ``in-toto-verify``."""

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # public, and not said to be

from airflow_provider_atlas.artifacts.archive import path_segment
from airflow_provider_atlas.cli import export_sigstore
from airflow_provider_atlas.cli.arguments import add_json, add_run, empty_folder, read_file, run_folder, write_file
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.errors import ConfigError, MalformedError, MissingError
from airflow_provider_atlas.intoto.layout import RunStep, run_layout
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE
from airflow_provider_atlas.signing.dsse import Envelope, pae
from airflow_provider_atlas.signing.keys import SCHEME
from airflow_provider_atlas.verify.records import Record, RunRecords, load_run
from airflow_provider_atlas.wiring import archives

LAYOUT = "run.layout"
"""The name of the layout in an exported folder."""

LAYOUT_KEY = "layout.pub"
"""The name of the key (SubjectPublicKeyInfo, PEM) that signed the layout."""

_LAYOUT_DAYS = 365

_EXAMPLE = """\
examples:
  atlas export archive/churn/manual__2026-01-31 --format in-toto --out churn.in-toto
  in-toto-verify -l churn.in-toto/run.layout --verification-keys churn.in-toto/layout.pub --link-dir churn.in-toto

  atlas export archive/churn/manual__2026-01-31 --format sigstore --policy policy.yaml --out churn.sigstore
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas export``."""
    parser.epilog = _EXAMPLE
    add_run(parser)
    parser.add_argument("--format", required=True, choices=["in-toto", "sigstore"], help="what the other tool reads")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write: empty, or not there yet")
    layout = parser.add_argument_group("in-toto")
    layout.add_argument("--key", metavar="PEM", help="the private key that signs the layout; else one made for it")
    layout.add_argument(
        "--valid-days", type=int, metavar="N", help=f"how long the layout holds: {_LAYOUT_DAYS} unless you say"
    )
    trust = parser.add_argument_group("sigstore")
    trust.add_argument("--policy", metavar="FILE", help="whose keys and logs the tools shall trust")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Export a run, and say how to check what was written."""
    if options.format == "sigstore":
        _refuse(options, "key", "valid_days")
        return export_sigstore.run(options)
    _refuse(options, "policy")
    return _export_layout(options)


def _refuse(options: Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} has no meaning for --format {options.format}")


def _export_layout(options: Namespace) -> int:
    output = Output(json=options.json)
    key = _owner_key(options.key, output)
    records = load_run(archives.open_run(str(run_folder(options))))
    pipeline, chosen = _whole(records)
    steps = [_step(record) for record in chosen]
    payload = run_layout(pipeline, steps, expires=_expiry(options.valid_days))
    links = {step.file_name: record.bundle.envelopes["link"] for step, record in zip(steps, chosen, strict=True)}
    folder = empty_folder(options.out)
    # The layout last: a folder whose export was cut short has none, and verifies as nothing.
    for name, envelope in links.items():
        write_file(folder / name, envelope.to_bytes())
    write_file(folder / LAYOUT_KEY, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    write_file(folder / LAYOUT, _signed(payload, CryptoSigner(key)).to_bytes())
    _report(output, str(folder), sorted(links), {record.bundle.public_key.sha256 for record in chosen})
    return 0


def final_tries(records: Iterable[Record]) -> Sequence[Record]:
    """Return the last try of each step, which is the one that the tasks after it went on from."""
    ordered = sorted(records, key=lambda record: record.link.environment.run.try_number)
    return list({record.link.name: record for record in ordered}.values())


def _expiry(days: int | None) -> datetime:
    return datetime.now(UTC) + timedelta(days=_LAYOUT_DAYS if days is None else days)


def _whole(records: RunRecords) -> tuple[Pipeline, Sequence[Record]]:
    # in-toto-verify notices no link that its layout does not ask for, so nothing may be left out silently here.
    if records.unreadable:
        first = records.unreadable[0]
        raise MalformedError(f"the run cannot be exported whole: {first.subject}: {first.reason}")
    if records.pipeline is None or not records.records:
        raise MissingError("the run cannot be exported: it has no pipeline.json, or no record of any task")
    return Pipeline.parse(records.pipeline), final_tries(records.records)


def _step(record: Record) -> RunStep:
    key = record.bundle.public_key
    return RunStep(name=path_segment(record.link.name), link=record.link, keyid=key.keyid, pem=key.pem, scheme=SCHEME)


def _owner_key(path: str | None, output: Output) -> Any:  # noqa: ANN401 - cryptography's, of whatever kind it is
    if path is None:
        output.remark("No --key was given: a key made for this layout alone signs it, and is then forgotten.")
        return ec.generate_private_key(ec.SECP256R1())
    content = read_file(path, "the key")
    try:
        key = load_pem_private_key(content, password=None)
        CryptoSigner(key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The libraries' own words could quote the file.
        raise ConfigError(
            f"cannot use the key {path}: expected a private key in PEM without a passphrase (ECDSA, Ed25519 or RSA)"
        ) from error
    return key


def _signed(payload: bytes, signer: CryptoSigner) -> Envelope:
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    return Envelope(
        payload=payload,
        payload_type=PAYLOAD_TYPE,
        keyid=signature.keyid,
        signature=bytes.fromhex(signature.signature),
    )


def _report(output: Output, folder: str, links: Sequence[str], signers: set[str]) -> None:
    command = shlex.join(
        [
            "in-toto-verify",
            *("-l", f"{folder}/{LAYOUT}"),
            *("--verification-keys", f"{folder}/{LAYOUT_KEY}"),
            *("--link-dir", folder),
        ]
    )
    document: JsonObject = {
        "layout": f"{folder}/{LAYOUT}",
        "layout_key": f"{folder}/{LAYOUT_KEY}",
        "links": [f"{folder}/{name}" for name in links],
        "signers": sorted(signers),
        "verify": command,
    }
    output.say(f"{len(links)} links and their layout are in {folder}. Check them with")
    output.say(f"  {command}")
    output.say("The layout trusts whoever signed the records; see that your policy trusts the same:")
    for signer in sorted(signers):
        output.say(f"  {signer}")
    output.document(document)
