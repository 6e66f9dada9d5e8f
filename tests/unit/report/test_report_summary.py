"""What a report comes to: no question is left out, nothing bad is hidden among the good, a range hides no instance."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.report import summary
from airflow_provider_atlas.verify.questions import NAMES, QUESTIONS
from airflow_provider_atlas.verify.report import Check
from tests.support import sample_reports


def test_the_questions_are_thirteen_and_numbered_in_order():
    assert list(QUESTIONS) == list(range(1, 14))
    assert list(NAMES.values()) == [
        "signature",
        "statement",
        "evidence",
        "binding",
        "appraisal",
        "inclusion",
        "artifacts",
        "manifest",
        "identity",
        "pipeline",
        "completeness",
        "lineage",
        "outcome",
    ]
    assert all(question.question.endswith("?") and question.failure for question in QUESTIONS.values())


def test_a_question_that_nobody_asked_is_told():
    report = replace(sample_reports.good(), checks=[])
    assert [(answered.question.number, answered.status) for answered in summary.answers(report)] == [
        (number, None) for number in QUESTIONS
    ]


def test_a_question_of_another_version_is_told_as_well():
    odd = Check(number=14, name="weather", subject="run", status="failed", detail="it rains")
    report = replace(sample_reports.good(), checks=[*sample_reports.good().checks, odd])
    assert summary.answers(report)[-1].question.name == "weather"
    assert summary.problems(report)[0].detail == "it rains"


def test_the_worst_answer_to_a_question_is_its_answer():
    statuses = {answered.question.name: answered.status for answered in summary.answers(sample_reports.failed())}
    assert statuses["signature"] == "failed"
    assert statuses["statement"] == "not-reached"
    assert statuses["manifest"] == "passed"


def test_one_reason_for_many_open_questions_is_told_once_and_after_the_failures():
    told = [
        (problem.status, [q.number for q in problem.questions]) for problem in summary.problems(sample_reports.failed())
    ]
    assert told == [
        ("failed", [1]),
        ("failed", [7]),
        ("failed", [13]),
        ("not-reached", [2, 3, 4, 5, 6]),
        ("not-reached", [12]),
    ]


def test_every_answer_that_is_not_good_is_among_the_problems():
    for report in (sample_reports.failed(), sample_reports.undecided()):
        told = {
            (question.number, subject, problem.status)
            for problem in summary.problems(report)
            for question in problem.questions
            for subject in problem.subjects
        }
        assert told == {(check.number, check.subject, check.status) for check in report.failures}


def test_a_simulated_pass_is_never_headed_as_a_pass():
    assert summary.headline(sample_reports.good())[0] == "Passed"
    assert summary.headline(sample_reports.development())[0] == "Passed in development"


def test_a_report_without_answers_decides_nothing():
    title, sentence = summary.headline(replace(sample_reports.good(), checks=[]))
    assert (title, sentence) == ("Undecided", "Nothing was asked that could be answered. This is not a pass.")


def test_records_of_one_kind_of_machine_are_told_together():
    (machine,) = summary.machines(sample_reports.mapped(50))
    assert len(machine.subjects) == 52
    mixed = sample_reports.good()
    mixed = replace(mixed, records=[*mixed.records, replace(mixed.records[0], tee=sample_reports.SIMULATED)])
    assert [machine.tee.assurance for machine in summary.machines(mixed)] == ["standard", "development"]
    assert list(summary.levels(mixed)) == ["development", "standard"]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 30), st.sampled_from(["", " try 1", " try 2"]))))
def test_a_range_holds_every_instance_and_no_other(instances):
    names = [f"{task}[{index}]{rest}" for task, index, rest in instances]
    assert sorted(name for text in summary.in_ranges(names) for name in _spelled_out(text)) == sorted(set(names))


@given(st.lists(st.text()))
def test_names_that_are_no_instances_are_told_once_each_as_they_are(names):
    plain = [name for name in names if "[" not in name]
    assert list(summary.in_ranges(plain)) == list(dict.fromkeys(plain))


def _spelled_out(text: str) -> list[str]:
    task, _, rest = text.partition("[")
    span, _, rest = rest.partition("]")
    first, _, last = span.partition("…")
    return [f"{task}[{index}]{rest}" for index in range(int(first), int(last or first) + 1)]
