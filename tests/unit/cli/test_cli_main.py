"""The command line as a whole: what it answers when it is used well, and what when it is not."""

import argparse
import subprocess
import sys

import pytest

from airflow_provider_atlas import __version__, errors
from airflow_provider_atlas.cli import main as cli
from airflow_provider_atlas.cli.main import COMMANDS, exit_code

SUBCOMMANDS = [
    *[[name] for name in COMMANDS],
    ["keys", "generate"],
    ["keys", "show"],
    ["policy", "init"],
    ["policy", "check"],
    ["log", "audit"],
    ["log", "drain"],
]


def test_version(atlas):
    answer = atlas("--version")
    assert (answer.code, answer.out) == (0, f"atlas {__version__}\n")


def test_help_lists_every_command_and_the_exit_codes(atlas):
    answer = atlas("--help")
    assert answer.code == 0
    assert all(f"    {name} " in answer.out for name in COMMANDS)
    assert "0 yes · 1 verified and wrong · 2 usage or configuration · 3 cannot decide" in answer.out


@pytest.mark.parametrize("words", SUBCOMMANDS, ids=" ".join)
def test_every_help_text_has_an_example(atlas, words):
    answer = atlas(*words, "--help")
    assert answer.code == 0
    assert "example" in answer.out
    assert f"atlas {' '.join(words)}" in answer.out.partition("example")[2]


@pytest.mark.parametrize("words", [[], ["stranger"], ["verify"], ["keys"], ["verify", "--stranger"], ["log", "burn"]])
def test_wrong_usage_is_2_and_says_what_is_right(atlas, words):
    answer = atlas(*words)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("usage: atlas")
    assert "Traceback" not in answer.err


def test_every_error_has_its_exit_code():
    codes = {name: exit_code(kind("")) for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name: code for name, code in codes.items() if code != 3} == {
        "ConfigError": 2,
        "MalformedError": 1,
        "VerificationError": 1,
        "SignatureError": 1,
        "StatementError": 1,
        "BindingError": 1,
        "AppraisalError": 1,
        "InclusionError": 1,
        "ConsistencyError": 1,
        "MismatchError": 1,
    }


def test_a_mistake_is_one_sentence_and_its_exit_code(process):
    answer = process("inspect", "/nowhere/at all")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "atlas: cannot read the file /nowhere/at all: No such file or directory\n"


def test_the_traceback_of_a_mistake_is_there_for_who_asks(process):
    answer = process("inspect", "/nowhere", ATLAS_DEBUG="1")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert answer.err.endswith("atlas: cannot read the file /nowhere: No such file or directory\n")


def test_a_mistake_cannot_repaint_the_terminal(atlas):
    answer = atlas("inspect", "/nowhere/\x1b[2J\u202e")
    assert answer.err == "atlas: cannot read the file /nowhere/\\x1b[2J\\u202e: No such file or directory\n"


def test_an_interrupted_command_is_130(atlas, monkeypatch):
    def configure(parser: argparse.ArgumentParser) -> None:
        parser.set_defaults(run=interrupted)

    def interrupted(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_configure", lambda _: configure)
    answer = atlas("doctor")
    assert (answer.code, answer.err) == (130, "atlas: interrupted\n")


def test_a_reader_that_goes_away_is_no_mistake(policy):
    program = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "policy", "check", str(policy)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ended:
        assert ended.stdout is not None
        assert ended.stderr is not None
        ended.stdout.close()
        complaint = ended.stderr.read()
    assert (ended.returncode, complaint) == (141, "")


def test_a_terminal_that_knows_ascii_alone_is_told_everything(process, attested):
    answer = process(
        "verify", attested.run_folder, "--policy", attested.folder / "policy.yaml", PYTHONIOENCODING="ascii"
    )
    assert answer.code == 0
    assert "PASSED IN DEVELOPMENT" in answer.out


def test_a_command_loads_only_what_it_needs():
    program = (
        "import sys; from airflow_provider_atlas.cli.main import main; main(['--help']);"
        "print(*[name for name in ('rich', 'cryptography', 'in_toto', 'yaml', 'airflow') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == ""
