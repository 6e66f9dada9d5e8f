"""``atlas tee simulate``: an emulated kernel interface to a simulated TEE, for development and tests."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from airflow_provider_atlas.cli.arguments import add_json
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.wiring import tee_services
from airflow_provider_atlas.wiring.tee_services import Simulation

_EXAMPLE = """\
examples:
  atlas tee simulate --mount /tmp/tsm --home /var/lib/atlas-simulated
  mkdir /tmp/tsm/tsm/report/mine; echo EBUSY > /tmp/tsm/faults

It needs /dev/fuse, the right to mount, and the extra `fuse`. What it signs proves nothing about any hardware: no policy
accepts it but one that names its root among development_roots.
"""
_LONGEST_LATENCY = 600


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = _EXAMPLE
    parser.add_argument("--mount", required=True, metavar="DIR", help="an empty folder to mount it at")
    parser.add_argument(
        "--tee", choices=tee_services.SIMULATED, default="tdx", help="what to simulate: tdx, or sev-snp"
    )
    parser.add_argument(
        "--home", required=True, metavar="DIR", help="the folder of the simulated platform, made at its first use"
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="how long a report takes: 0; on silicon about 1"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Mount, and serve until SIGTERM or SIGINT: then unmount, and exit 0."""
    if not 0 <= options.latency <= _LONGEST_LATENCY:
        raise ConfigError(f"expected --latency from 0 to {_LONGEST_LATENCY} seconds")
    output, mount = Output(json=options.json), Path(options.mount).absolute()
    if not mount.is_dir() or any(mount.iterdir()):
        raise ConfigError(f"expected --mount to be an empty folder; {mount} is none")

    def ready(simulation: Simulation) -> None:
        _tell(output, options.tee, simulation)

    tee_services.simulate(options.tee, mount, Path(options.home).absolute(), options.latency, ready)
    return 0


def _tell(output: Output, tee: str, simulation: Simulation) -> None:
    files = {"collateral": simulation.collateral, "event_log": simulation.event_log}
    query = "&".join(f"{name}={path}" for name, path in files.items() if path is not None)
    attester = f"tsm:{simulation.report}{'?' if query else ''}{query}"
    document = {"attester": attester, "tee": tee, "development_root": simulation.root_sha256}
    output.say("simulating; it proves nothing about any hardware")
    output.facts(document)
    output.document(document)
