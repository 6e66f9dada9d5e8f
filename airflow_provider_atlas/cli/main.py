"""``atlas``: the command line, without Airflow. Each command is a module, imported when it is the one that is run.

Exit codes, everywhere: 0 yes, 1 verified and wrong, 2 usage or configuration, 3 cannot decide (something is missing or
unreachable). With ``--json`` exactly one JSON document goes to standard output, and what people read to standard error.
``ATLAS_DEBUG=1`` shows the traceback of a mistake.
"""

import io
import os
import sys
import traceback
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module

from airflow_provider_atlas import __version__
from airflow_provider_atlas.errors import AtlasError, ConfigError, MalformedError, VerificationError
from airflow_provider_atlas.report.visible import visible

COMMANDS: Mapping[str, str] = {
    "demo": "attest, log and verify a training pipeline, end to end",
    "verify": "judge a run against a policy",
    "inspect": "show what a file of Atlas says, for people",
    "export": "write a run for other tools, such as in-toto-verify",
    "keys": "make and show signing keys",
    "policy": "write and check policies",
    "tee": "quote, verify and pin the evidence of TEEs; serve one to workers, or simulate one",
    "log": "serve, audit, watch, witness and prove transparency logs; drain the spool",
    "doctor": "check that this machine can attest",
}
"""Every command and what it does; its module in this package has the same name."""

_EXAMPLE = """\
examples:
  atlas demo
  atlas verify archive/churn/manual__2026-01-31 --policy policy.yaml

exit codes: 0 yes · 1 verified and wrong · 2 usage or configuration · 3 cannot decide
"""

_INTERRUPTED = 130
_READER_GONE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (the process's own arguments when None) and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    _spell_what_the_terminal_cannot_show()
    try:
        return _run(arguments)
    except SystemExit as ended:  # argparse's way to say that it has answered: help, version, or usage
        return ended.code if isinstance(ended.code, int) else 2
    except AtlasError as error:
        return _tell(error)
    except KeyboardInterrupt:
        sys.stderr.write("atlas: interrupted\n")
        return _INTERRUPTED
    except BrokenPipeError:
        return _leave_quietly()


def exit_code(error: AtlasError) -> int:
    """Return the exit code that ``error`` means."""
    if isinstance(error, ConfigError):
        return 2
    return 1 if isinstance(error, MalformedError | VerificationError) else 3


def _run(arguments: Sequence[str]) -> int:
    options = _parser(arguments).parse_args(arguments)
    code: int = options.run(options)
    sys.stdout.flush()
    return code


def _parser(arguments: Sequence[str]) -> ArgumentParser:
    parser = ArgumentParser(
        prog="atlas",
        description="Attested execution for Apache Airflow: make evidence of runs, and judge it.",
        epilog=_EXAMPLE,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"atlas {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == chosen:
            _configure(name)(command)
    return parser


def _configure(name: str) -> Callable[[ArgumentParser], None]:
    configure: Callable[[ArgumentParser], None] = import_module(f"airflow_provider_atlas.cli.{name}").configure
    return configure


def _spell_what_the_terminal_cannot_show() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell(error: AtlasError) -> int:
    if os.environ.get("ATLAS_DEBUG") == "1":
        traceback.print_exception(error)
    sys.stderr.write(f"atlas: {visible(str(error))}\n")
    return exit_code(error)


def _leave_quietly() -> int:
    # The interpreter flushes standard output once more when it ends, and would complain of the same pipe.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _READER_GONE
