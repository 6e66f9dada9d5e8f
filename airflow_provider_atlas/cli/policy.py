"""``atlas policy``: write a policy to start from, and check one."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from airflow_provider_atlas.cli.arguments import add_json, read_file, write_file
from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.keys import public_key
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.recognition import describe_policy
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.signing.trust import TrustedFulcio, TrustedIdentity
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.tlog.trust import TrustedLog
from airflow_provider_atlas.verify.identity_policy import IdentityTrust, trusting_identity
from airflow_provider_atlas.verify.policy import Policy, starting_policy
from airflow_provider_atlas.wiring import runs

_EXAMPLE = """\
examples:
  atlas policy init --key worker.pub --log-key 'atlas.example.org/log+3f2a…+AR8…' --out policy.yaml
  atlas policy init --home /var/lib/atlas --out policy.yaml
  atlas policy init --fulcio-certificates fulcio.pem --ct-key ctfe.pub --tsa-certificates tsa.pem --out policy.yaml
  atlas policy check policy.yaml
"""


def configure(parser: ArgumentParser) -> None:
    """Add the commands of ``atlas policy``."""
    parser.epilog = _EXAMPLE
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    start = commands.add_parser(
        "init",
        help="write a policy to start from",
        description="Write a policy that trusts the keys and logs you name, or, when you name none, what this "
        "machine's settings attest with.",
        epilog="example: atlas policy init --key worker.pub --log-key 'atlas.example.org/log+3f2a…+AR8…'",
    )
    start.add_argument("--key", action="append", default=[], metavar="FILE", help="a key that signs tasks; repeatable")
    start.add_argument("--log-key", action="append", default=[], metavar="VKEY", help="a log's name+id+key; repeatable")
    _add_identity(start)
    start.add_argument("--name", default="starting", help="what the policy is called in reports: starting")
    start.add_argument("--out", metavar="FILE", help="a new file for it; else standard output")
    add_home(start)
    start.set_defaults(run=init)
    check = commands.add_parser("check", help="check a policy", epilog="example: atlas policy check policy.yaml")
    check.add_argument("file", metavar="FILE", help="the policy")
    add_json(check)
    check.set_defaults(run=check_policy)


def _add_identity(parser: ArgumentParser) -> None:
    trust = parser.add_argument_group("workers that Fulcio certifies")
    trust.add_argument("--identity", metavar="ID", help="who they are, a URI or a mail address; else this worker's own")
    trust.add_argument("--issuer", metavar="URL", help="who issues their tokens; else who issued this worker's")
    trust.add_argument("--fulcio-certificates", metavar="FILE", help="Fulcio's certificates up to its root, in PEM")
    trust.add_argument(
        "--ct-key", action="append", metavar="FILE", help="the key of its certificate log, in PEM; repeatable"
    )
    trust.add_argument("--tsa-certificates", metavar="FILE", help="those of the time-stamp authority, in PEM")


def init(options: Namespace) -> int:
    """Write a starting policy."""
    output = Output(json=False)
    content = _starting(options)
    Policy.parse(content)
    if options.out is None:
        output.write(content)
        return 0
    write_file(Path(options.out), content)
    output.remark(f"{options.out} trusts what it names and nothing else; read it before you use it")
    return 0


def check_policy(options: Namespace) -> int:
    """Show what a policy trusts, once it is known to be one."""
    output = Output(json=options.json)
    description = describe_policy(Policy.parse(read_file(options.file, "the policy")))
    output.facts(description)
    output.document(description)
    return 0


def _starting(options: Namespace) -> bytes:
    trust, named = _trust(options), options.identity is not None
    if trust is not None and not named and (options.key or options.log_key):
        raise ConfigError("name whom Fulcio certifies with --identity and --issuer, beside --key and --log-key")
    if not options.key and not options.log_key and not named:
        return runs.policy_for(settings_of(options), name=options.name, trust=trust)
    if not (options.key or named) or not options.log_key:
        raise ConfigError("a policy trusts at least one key and one log: name both with --key FILE and --log-key VKEY")
    try:
        logs = [VerifierKey.parse(text) for text in options.log_key]
    except MalformedError as error:
        raise ConfigError(f"cannot use --log-key: {error}") from error
    signers = {Path(path).stem: public_key(path) for path in options.key}
    policy = starting_policy(
        name=options.name, signers=signers, logs=[TrustedLog(origin=key.name, key=key) for key in logs]
    )
    return _trusting(policy, options, trust) if named else policy


def _trust(options: Namespace) -> IdentityTrust | None:
    paths = options.fulcio_certificates, options.ct_key, options.tsa_certificates
    if not any(paths) and options.identity is None:
        return None
    if not all(paths) or (options.identity is None) != (options.issuer is None):
        raise ConfigError(
            "whom Fulcio certifies is trusted by --fulcio-certificates, --ct-key and --tsa-certificates together, and "
            "--identity goes with --issuer"
        )
    try:
        fulcio = TrustedFulcio.from_pem(
            read_file(options.fulcio_certificates, "Fulcio's certificates"),
            [read_file(path, "the key of the certificate log") for path in options.ct_key],
        )
        authority = TrustedAuthority.from_pem(
            Path(options.tsa_certificates).stem, read_file(options.tsa_certificates, "the authority's certificates")
        )
    except MalformedError as error:
        raise ConfigError(f"cannot trust what was named: {error}") from error
    return IdentityTrust(fulcio=fulcio, authority=authority)


def _trusting(policy: bytes, options: Namespace, trust: IdentityTrust | None) -> bytes:
    assert trust is not None  # noqa: S101 - who names an identity names these
    workers = TrustedIdentity(name="workers", identity=options.identity, issuer=options.issuer, fulcio=trust.fulcio)
    return trusting_identity(policy, workers, trust.authority)
