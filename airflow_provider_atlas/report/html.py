"""A report as one HTML file that an auditor opens, prints and keeps: no script, no request to anywhere.

Every string in it may come from a stranger. Jinja escapes each one, ``visible`` spells out what would act on its
reader, and a Content-Security-Policy forbids all but the one style sheet, by its digest.
See: https://www.w3.org/TR/CSP3/ §6.7.2 (hashes).
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from airflow_provider_atlas.encoding import b64encode, format_time, sha256_hex
from airflow_provider_atlas.report import graph, summary
from airflow_provider_atlas.report.visible import shell_word, visible
from airflow_provider_atlas.verify.report import RecordResult, VerificationReport


def render(report: VerificationReport) -> str:
    """Return ``report`` as one self-contained HTML document: a function of it, the same text for the same report."""
    style = _source("report.css")
    return _renderer()(
        report=report,
        style=style,
        style_digest=b64encode(hashlib.sha256(style.encode("utf-8")).digest()),
        headline=summary.headline(report),
        development=summary.DEVELOPMENT,
        answers=summary.answers(report),
        problems=summary.problems(report),
        machines=summary.machines(report),
        metrics=summary.metrics(report.records),
        artifact_counts=summary.artifact_counts(report),
        worst=summary.worst_by_subject(report.checks),
        graph=graph.draw(report),
        command=reproduction(report),
        digest=sha256_hex(report.to_bytes()),
    )


def reproduction(report: VerificationReport) -> str:
    """Return the command that makes this report again, offline, from an archive and a policy that are at hand."""
    words = ["atlas", "verify", "--json", "--at", format_time(report.evaluated_at)]
    words += ["--policy", "POLICY.yaml", "--archive", "ARCHIVE"]
    names = [shell_word(report.dag_id), shell_word(report.run_id)]
    # A name that begins with a hyphen would be read as an option.
    return " ".join([*words, *(["--"] if any(name.startswith("-") for name in names) else []), *names])


@cache
def _renderer() -> Callable[..., str]:
    # jinja2 takes 0.1 s to import: a task's process, which renders nothing, must not pay for it.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else visible(value),
    )
    environment.filters |= {"moment": _moment, "ranges": summary.in_ranges, "shortened": _shortened}
    environment.globals |= {
        "symbols": summary.SYMBOLS,
        "lasted": _lasted,
        "node": (graph.NODE_WIDTH, graph.NODE_HEIGHT),
    }
    return environment.from_string(_source("report.html.j2")).render


def _source(name: str) -> str:
    return files("airflow_provider_atlas.report").joinpath(name).read_text("utf-8")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _lasted(record: RecordResult) -> str:
    seconds = (record.finished - record.started).total_seconds()
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _shortened(text: str, most: int) -> str:
    text = visible(text)
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - (most - 1) // 2 :]}"
