"""A report as a page: self-contained, the same for the same report, and no string in it becomes markup."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_atlas.report.html import render, reproduction
from airflow_provider_atlas.report.summary import DEVELOPMENT
from airflow_provider_atlas.report.visible import visible
from tests.support import sample_reports

SAMPLES = (
    sample_reports.good,
    sample_reports.development,
    sample_reports.failed,
    sample_reports.undecided,
    sample_reports.mapped,
)


class Page(HTMLParser):
    """The elements of a page as a browser sees them, its words, and its style sheet."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.ends: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.others: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += attrs

    def handle_endtag(self, tag):
        self.ends.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    def handle_comment(self, data):
        self.others.append(data)

    def handle_pi(self, data):
        self.others.append(data)

    @property
    def style(self) -> str:
        return max(self.words, key=lambda word: word.count("{"))

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def with_texts(texts):
    """A report in which every free text is one of ``texts``, each position always the same one."""
    report = sample_reports.failed()
    pick = iter(range(10**6))

    def text() -> str:
        return texts[next(pick) % len(texts)]

    checks = [replace(item, subject=text(), detail=text()) for item in report.checks]
    tee = replace(
        sample_reports.SIMULATED, tee=text(), provider=text(), tcb_status=text(), measurements={text(): text()}
    )
    records = [
        replace(
            item,
            step=text(),
            state=text(),
            operator=text(),
            signer_sha256=text(),
            envelope_sha256=text(),
            upstream=[text()],
            unmeasured=[text()],
            metrics={text(): 1.5},
            tee=tee,
        )
        for item in report.records
    ]
    artifacts = [
        replace(item, uri=text(), sha256=text(), producer=text(), consumers=[text()]) for item in report.artifacts
    ]
    return replace(
        report,
        deployment=text(),
        dag_id=text(),
        run_id=text(),
        policy_name=text(),
        policy_sha256=text(),
        verifier=text(),
        checks=checks,
        records=records,
        artifacts=artifacts,
        limitations=[text()],
        development=True,
    )


ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></svg><script>1</script>",
    "{{ 7*7 }}{% raw %}",
    "<!-- ",
    "]]><![CDATA[",
    "&lt;b&gt;&amp;",
    "javascript:alert(1)",
    "\x00\x1b[2J\u202e\u2028",
]

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="[")) | st.sampled_from(ATTACKS)


@pytest.mark.parametrize("make", SAMPLES)
def test_a_page_asks_nobody_for_anything_and_runs_nothing(make):
    page = Page(render(make()))
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "a",
    }
    assert not {name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href", "style"}}
    assert not re.search(r"url\(|@import|https?:", page.style)


@pytest.mark.parametrize("make", SAMPLES)
def test_the_content_security_policy_allows_the_one_style_sheet_by_its_digest(make):
    page = Page(render(make()))
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in (value or ""))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize("make", SAMPLES)
def test_every_element_that_begins_ends(make):
    page = Page(render(make()))
    void = {"meta", "wbr"}
    begun = sorted(tag for tag, _ in page.elements if tag not in void)
    assert begun == sorted(page.ends)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=12, unique=True))
def test_no_text_of_a_stranger_adds_an_element_or_an_attribute(texts):
    plain = [f"t{number}" for number in range(len(texts))]
    hostile, harmless = Page(render(with_texts(texts))), Page(render(with_texts(plain)))
    assert hostile.elements == harmless.elements
    assert hostile.ends == harmless.ends
    assert hostile.others == harmless.others == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_text_is_shown_as_it_is_written(attack):
    page = Page(render(with_texts([attack])))
    assert visible(attack) in "".join(page.words)


def test_what_a_stranger_writes_cannot_turn_the_writing_direction():
    assert "\u202e" not in render(with_texts(["\u202e"]))


@pytest.mark.parametrize(
    ("make", "verdict"),
    [(sample_reports.good, "Passed"), (sample_reports.failed, "Failed"), (sample_reports.undecided, "Undecided")],
)
def test_the_verdict_comes_first_by_sign_and_by_word(make, verdict):
    words = [word.strip() for word in Page(render(make())).words if word.strip()]
    sign = {"Passed": "✓", "Failed": "✗", "Undecided": "?"}[verdict]
    body = words.index("Atlas verification report")
    assert words[body + 1 : body + 3] == [sign, verdict]


def test_a_simulated_tee_is_told_in_the_verdict_and_where_it_ran():
    text = Page(render(sample_reports.development())).text
    assert text.index(DEVELOPMENT) < text.index("Policy")
    assert "Passed in development" in text
    assert "made by software and prove nothing about hardware" in text
    assert DEVELOPMENT not in render(sample_reports.good())


def test_failures_come_before_the_questions_with_what_they_mean():
    text = Page(render(sample_reports.failed())).text
    meaning = "What lies at the URI now is not what the task read or wrote."
    assert (
        text.index("what lies at file:///srv/churn/train.parquet") < text.index(meaning) < text.index("What was asked")
    )


def test_every_digest_of_the_report_is_on_the_page_in_full():
    report = sample_reports.failed()
    text = "".join(Page(render(report)).words)
    for item in report.records:
        assert item.envelope_sha256 in text
        assert item.signer_sha256 in text
    for artifact in report.artifacts:
        assert artifact.sha256 in text
    assert report.policy_sha256 in text
    assert hashlib.sha256(report.to_bytes()).hexdigest() in text


def test_a_question_that_nobody_asked_is_on_the_page():
    report = sample_reports.good()
    report = replace(report, checks=[check for check in report.checks if check.number != 3])
    assert "Nobody asked this question" in Page(render(report)).text


def test_the_command_that_asks_again_keeps_a_hostile_run_id_one_word():
    report = replace(sample_reports.good(), dag_id="--html=/etc/passwd", run_id="x; rm -rf ~")
    assert reproduction(report) == (
        "atlas verify --json --at 2026-01-31T14:00:00.000000Z --policy POLICY.yaml --archive ARCHIVE"
        " -- --html=/etc/passwd 'x; rm -rf ~'"
    )


def test_two_processes_render_the_same_bytes():
    program = (
        "import hashlib; from tests.support import sample_reports as s;"
        "from airflow_provider_atlas.report.html import render;"
        "print(hashlib.sha256(''.join(render(make()) for make in (s.good, s.failed)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
