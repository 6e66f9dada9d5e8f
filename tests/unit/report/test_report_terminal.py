"""A report on a terminal: short when all is well, loud when it is not, and no stranger writes to the screen."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from airflow_provider_atlas.report.summary import DEVELOPMENT
from airflow_provider_atlas.report.terminal import print_report
from tests.support import sample_reports


def printed(report, **options):
    screen = io.StringIO()
    print_report(report, Console(file=screen, width=100, **options))
    return screen.getvalue()


@pytest.mark.parametrize("make", [sample_reports.good, sample_reports.development, sample_reports.mapped])
def test_a_good_run_fits_on_a_screen(make):
    assert len(printed(make()).splitlines()) <= 24


def test_a_failed_run_says_what_of_what_and_why():
    text = printed(sample_reports.failed())
    assert text.startswith("✗ FAILED")
    assert "✗ 7 artifacts: split try 1\n    what lies at file:///srv/churn/train.parquet is not" in text
    assert "? 2 statement, 3 evidence, 4 binding, 5 appraisal, 6 inclusion: join try 1\n" in text


def test_an_undecided_run_is_not_a_pass():
    assert printed(sample_reports.undecided()).startswith(
        "? UNDECIDED  Nothing was found wrong, but 6 answers could not"
    )


def test_a_simulated_tee_is_told_before_the_verdict():
    assert DEVELOPMENT in printed(sample_reports.development()).splitlines()[0]
    assert DEVELOPMENT not in printed(sample_reports.good())


def test_many_failures_are_cut_and_counted():
    report = sample_reports.mapped(40)
    for item in report.records:
        report = sample_reports.with_answer(report, 7, item.subject, "failed", f"another file at {item.step}")
    text = printed(report)
    assert len(text.splitlines()) < 50
    assert "and 30 more, in the JSON or HTML report" in text


def test_no_escape_sequence_of_a_stranger_reaches_the_terminal():
    attack = "\x1b[2J\x1b]0;owned\x07[bold red]PASSED[/]"
    report = sample_reports.failed()
    report = replace(
        report,
        dag_id=attack,
        run_id=attack,
        deployment=attack,
        policy_name=attack,
        checks=[replace(check, name=attack, subject=attack, detail=attack) for check in report.checks],
    )
    text = printed(report)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"\x1b[2J\x1b]0;owned\x07[bold red]PASSED[/]" in text


def test_colour_is_for_terminals_alone():
    assert "\x1b[" in printed(sample_reports.good(), force_terminal=True, color_system="standard")
    assert "\x1b[" not in printed(sample_reports.good())
