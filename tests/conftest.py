"""What holds for every test: Airflow has a home of this run's own, and ``--no-skips`` lets nothing pass unrun."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from tests.support.emulated_tsm import EmulatedTsm
    from tests.support.postgres_server import PostgresServer
    from tests.support.s3_server import S3Server


def _leave_the_users_airflow_alone() -> str:
    # Airflow reads its home and its settings while it is imported, so this cannot wait for a fixture. Each xdist
    # worker runs it anew, and so has a home of its own: sqlite does not share.
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="atlas-tests-")
    os.environ["AIRFLOW_HOME"] = home
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    return home


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

_HOME = _leave_the_users_airflow_alone()


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail what skips, or is expected to fail")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _refuse_skips(report, item.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _refuse_skips(report, collector.config)


def _refuse_skips(report: Report, config: pytest.Config) -> Report:
    if report.skipped and config.getoption("--no-skips"):
        # A skip's longrepr is (path, line, reason); that of an expected failure is the failure itself.
        why = getattr(report, "wasxfail", None) or (report.longrepr[2] if isinstance(report.longrepr, tuple) else "")
        report.outcome = "failed"
        report.longrepr = f"did not run to its end, and --no-skips is on: {why}"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report


@pytest.fixture(scope="session")
def s3() -> "Iterator[S3Server]":
    """An S3 server of this session's own; the credentials for it are in the environment."""
    from tests.support.s3_server import CREDENTIALS, s3_server

    with pytest.MonkeyPatch.context() as patch, s3_server() as server:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """A PostgreSQL server of this session's own."""
    from tests.support.postgres_server import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def mounted_tsm() -> "Iterator[EmulatedTsm]":
    """An emulated configfs-tsm of a TDX guest, of this session's own."""
    from tests.support.emulated_tsm import emulated_tsm

    with emulated_tsm() as emulated:
        yield emulated


@pytest.fixture(scope="session")
def mounted_snp() -> "Iterator[EmulatedTsm]":
    """An emulated configfs-tsm of a SEV-SNP guest, of this session's own."""
    from tests.support.emulated_tsm import emulated_tsm

    with emulated_tsm("sev-snp") as emulated:
        yield emulated
