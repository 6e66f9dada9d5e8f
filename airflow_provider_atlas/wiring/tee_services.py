"""What a machine runs for the TEEs of its workers: the attestation helper, and an emulated kernel."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import tees

SIMULATED = ("tdx", "sev-snp")
"""The TEEs that can be simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperSocket:
    """Where the helper listens, the mode of the socket and its group; where it is None, systemd passed a socket."""

    path: Path | None
    mode: int = 0o666
    group: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """An emulated configfs-tsm: its folder of requests, its root, and the files that go with it, None where not."""

    report: Path
    root_sha256: str
    collateral: Path | None
    event_log: Path | None


@contextmanager
def attestation_helper(
    settings: Settings, place: HelperSocket, uids: Collection[int], rate: float, *, batch: bool = False
) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Yield ``serve`` and ``stop`` of a helper that serves the attester of ``settings`` to ``uids``.

    ``serve`` returns once ``stop`` was called, from wherever, and all who were being answered are. Each user may make
    ``rate`` requests a second. With ``batch`` one quote is for all who wait when it begins, each of whom gets the proof
    that it was among them: workers must ask for that (``attester_mode``). Raises ConfigError when it has nothing to
    serve, or cannot listen.
    """
    from airflow_provider_atlas.tee.backends.attester_server import AttesterServer, ServerLimits
    from airflow_provider_atlas.tee.backends.attester_socket import inherited
    from airflow_provider_atlas.tee.backends.batching import BatchingAttester

    attester = None if settings.attester.startswith("helper:") else tees.attester(settings)
    if attester is None:
        raise ConfigError("expected an attester that the helper can ask itself, such as --attester tsm:")
    if batch:
        attester = BatchingAttester(attester)
    server = AttesterServer(attester, uids, ServerLimits(rate=rate))
    with inherited(os.environ) or _own_socket(place) as listener:
        yield partial(server.serve, listener), server.stop


def _own_socket(place: HelperSocket) -> AbstractContextManager[socket]:
    from airflow_provider_atlas.tee.backends.attester_socket import listening_at

    if place.path is None:
        raise ConfigError("expected --socket, or a socket from systemd")
    return listening_at(place.path, mode=place.mode, group=place.group)


def simulate(tee: str, mount: Path, folder: Path, latency: float, ready: Callable[[Simulation], None]) -> None:
    """Show an emulated configfs-tsm at ``mount`` until a signal ends it; ``ready`` is told once it is there.

    It signs with the simulated platform ``tee`` in ``folder``, made on first use, and takes ``latency`` seconds for a
    report. Raises ConfigError when it cannot be mounted, AttesterError when the folder cannot be used.
    """
    from airflow_provider_atlas.tee.backends.tsm_fuse import serve
    from airflow_provider_atlas.tee.backends.tsm_platforms import PLATFORMS

    platform = PLATFORMS[tee](folder, latency)
    simulation = Simulation(
        report=mount / "tsm" / "report",
        root_sha256=platform.root_sha256,
        collateral=platform.collateral,
        event_log=mount / "acpi" / "tables" / "data" / "CCEL" if platform.driver.event_log else None,
    )
    serve(platform.driver, mount, lambda: ready(simulation))
