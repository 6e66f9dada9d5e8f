"""Text that would act on its reader is spelled out, and a name from a stranger stays one word of a command."""

import os
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.report.visible import shell_word, visible

ANYTHING = st.text(alphabet=st.characters(codec=None))


@given(ANYTHING)
def test_what_is_visible_can_be_printed_and_written(text):
    assert visible(text).isprintable()
    visible(text).encode("utf-8")


@given(st.text().filter(str.isprintable))
def test_what_can_be_printed_stays_as_it_is(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("attack", "shown"),
    [
        ("\x1b[2J\x1b[32mPASSED", r"\x1b[2J\x1b[32mPASSED"),
        ("invoice\u202efdp.exe", r"invoice\u202efdp.exe"),
        ("a\r\nb", r"a\r\nb"),
        ("\udcff", r"\udcff"),
        ("\x9b31m", r"\x9b31m"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
    ],
)
def test_what_would_repaint_a_terminal_or_turn_the_text_is_spelled_out(attack, shown):
    assert visible(attack) == shown


@given(st.text().filter(str.isprintable))
def test_a_printable_name_is_one_word_of_a_command(text):
    assert shlex.split(shell_word(text)) == [text]


@pytest.mark.parametrize(
    "name", ["; reboot", "$(reboot)", "`reboot`", "a'b", "a\nb; reboot", "\x1b]0;x\x07", "a\\'b\nc", "\u202eevil"]
)
def test_a_shell_reads_a_hostile_name_back_as_it_was(name):
    words = subprocess.run(
        ["bash", "-c", f"printf %s {shell_word(name)}"],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    assert words.stdout.decode() == name
