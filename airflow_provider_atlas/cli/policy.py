"""``atlas policy``: write a policy to start from, and check one."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from airflow_provider_atlas.cli.arguments import add_json, read_file, write_file
from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.keys import public_key
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.recognition import describe_policy
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.trust import TrustedLog
from airflow_provider_atlas.verify.policy import Policy, starting_policy
from airflow_provider_atlas.wiring import runs

_EXAMPLE = """\
examples:
  atlas policy init --key worker.pub --log-key 'atlas.example.org/log+3f2a…+AR8…' --out policy.yaml
  atlas policy init --home /var/lib/atlas --out policy.yaml
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
    start.add_argument("--name", default="starting", help="what the policy is called in reports: starting")
    start.add_argument("--out", metavar="FILE", help="a new file for it; else standard output")
    add_home(start)
    start.set_defaults(run=init)
    check = commands.add_parser("check", help="check a policy", epilog="example: atlas policy check policy.yaml")
    check.add_argument("file", metavar="FILE", help="the policy")
    add_json(check)
    check.set_defaults(run=check_policy)


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
    if not options.key and not options.log_key:
        return runs.policy_for(settings_of(options), name=options.name)
    if not options.key or not options.log_key:
        raise ConfigError("a policy trusts at least one key and one log: name both with --key FILE and --log-key VKEY")
    try:
        logs = [VerifierKey.parse(text) for text in options.log_key]
    except MalformedError as error:
        raise ConfigError(f"cannot use --log-key: {error}") from error
    signers = {Path(path).stem: public_key(path) for path in options.key}
    return starting_policy(
        name=options.name, signers=signers, logs=[TrustedLog(origin=key.name, key=key) for key in logs]
    )
