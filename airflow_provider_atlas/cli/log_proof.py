"""``atlas log proof``: make a proof that an entry is in a log (tlog-proof), and check one, offline."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_atlas.bundle import AttestationBundle, log_entry
from airflow_provider_atlas.cli.arguments import add_json, read_file, write_file
from airflow_provider_atlas.cli.keys import public_key
from airflow_provider_atlas.cli.log_arguments import add_log, add_witnesses, log_key, verifier_key, witnesses
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.encoding import JsonObject, parse_json
from airflow_provider_atlas.errors import ConfigError, SignatureError
from airflow_provider_atlas.signing.dsse import Envelope
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.trust import TrustedLog
from airflow_provider_atlas.wiring import logs

_EXAMPLE = """\
examples:
  atlas log proof make /var/lib/atlas/log --key 'atlas.example.org/log+3f2a…+AR8…' --index 7 --out 7.tlog-proof
  atlas log proof check 7.tlog-proof --witnesses policy --envelope link.json --signer task.pub
"""


def configure(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the commands."""
    parser = commands.add_parser("proof", help="prove that an entry is in a log", epilog=_EXAMPLE)
    actions = parser.add_subparsers(metavar="COMMAND", required=True)
    new = actions.add_parser("make", help="make a proof from a log's tiles", epilog=_EXAMPLE)
    add_log(new)
    new.add_argument("--index", type=int, metavar="N", help="the entry's index, counted from 0")
    _add_entry(new)
    new.add_argument("--out", required=True, metavar="FILE", help="the new file, *.tlog-proof")
    new.add_argument("--entry-out", metavar="FILE", help="a new file for the entry itself")
    add_json(new)
    new.set_defaults(run=make)
    look = actions.add_parser("check", help="check a proof, offline", epilog=_EXAMPLE)
    look.add_argument("proof", metavar="FILE", help="the proof")
    look.add_argument("--key", metavar="VKEY", help="the log's verifier key; else the log lines of --witnesses count")
    add_witnesses(look)
    _add_entry(look)
    add_json(look)
    look.set_defaults(run=check)


def make(options: Namespace) -> int:
    """Make a proof: exit 0 when it was made and holds."""
    output, given = Output(json=options.json), _entry(options)
    if (options.index is None) == (given is None) or (options.index or 0) < 0:
        raise ConfigError("expected one entry: --index N, --entry FILE, --envelope FILE or --bundle FILE")
    wanted = options.index if given is None else given
    with output.progress("Looking") as progress:
        receipt, entry = logs.make_receipt(options.log, log_key(options), wanted, progress)
    write_file(Path(options.out), receipt.to_bytes())
    if options.entry_out:
        write_file(Path(options.entry_out), entry)
    _tell(output, receipt.checkpoint, receipt, f"The proof is in {options.out}.")
    return 0


def check(options: Namespace) -> int:
    """Check a proof: exit 0 when the log has the entry, as its key and its witnesses say."""
    output, entry = Output(json=options.json), _entry(options)
    if entry is None:
        raise ConfigError("expected the entry: --entry FILE, --envelope FILE or --bundle FILE")
    receipt = Receipt.parse(read_file(options.proof, "the proof"))
    for log in (trusted := _trusted(options)):
        if log.origin == receipt.checkpoint.origin:
            checkpoint = log.check(receipt, entry)
            _tell(output, checkpoint, receipt, "The entry is in the log.")
            return 0
    raise SignatureError(f"expected a proof of the log {' or '.join(log.origin for log in trusted)}")


def _add_entry(parser: ArgumentParser) -> None:
    parser.add_argument("--entry", metavar="FILE", help="the entry, as the log has it")
    parser.add_argument("--envelope", metavar="FILE", help="a DSSE envelope that was logged; with --signer")
    parser.add_argument("--signer", metavar="FILE", help="the key that signed the envelope, in PEM")
    parser.add_argument("--bundle", metavar="FILE", help="a bundle of Atlas, whose envelope --role is meant")
    parser.add_argument("--role", default="link", help="start, link, provenance, tee or manifest: link")


def _entry(options: Namespace) -> bytes | None:
    if sum(bool(given) for given in (options.entry, options.envelope, options.bundle)) > 1:
        raise ConfigError("expected one of --entry, --envelope and --bundle")
    if options.entry:
        return read_file(options.entry, "the entry")
    if options.bundle:
        bundle = AttestationBundle.parse(read_file(options.bundle, "the bundle"))
        if options.role not in bundle.envelopes:
            raise ConfigError(f"the bundle has no {options.role!r}; it has {', '.join(sorted(bundle.envelopes))}")
        return bundle.log_entry(options.role)
    if options.envelope:
        if not options.signer:
            raise ConfigError("expected --signer FILE: what is logged of an envelope includes the key that signed it")
        return log_entry(_envelope(options.envelope), public_key(options.signer))
    return None


def _envelope(path: str) -> Envelope:
    return Envelope.parse(parse_json(read_file(path, "the envelope")))


def _trusted(options: Namespace) -> Sequence[TrustedLog]:
    policy = witnesses(options)
    keys = [log.key for log in policy.logs] if policy else []
    if options.key:
        key = verifier_key(options.key)
        if keys and key not in keys:
            raise ConfigError("the witness policy names other logs than --key")
        keys = [key]
    if not keys:
        raise ConfigError("expected the log's key: --key VKEY, or --witnesses FILE with a log line")
    return [TrustedLog(origin=key.name, key=key, witnesses=policy) for key in keys]


def _tell(output: Output, checkpoint: Checkpoint, receipt: Receipt, words: str) -> None:
    document: JsonObject = {
        "origin": checkpoint.origin,
        "index": receipt.index,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }
    output.say(words)
    output.facts(document)
    output.document(document)
