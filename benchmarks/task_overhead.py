"""What a task costs more with Atlas than without it, and than with OpenLineage, under a real scheduler.

::

    python benchmarks/task_overhead.py [--rounds N] [--tasks N]

Runs the same DAG of no-op tasks, one after another, on a cluster of its own for each variant, and prints how long a
task instance took from its start to its end as Airflow recorded it. The first three tasks of each run are dropped:
they pay for imports. Variants take turns, so that a machine whose speed drifts treats them alike.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.cluster import Cluster

_DAG = """
from airflow.sdk import chain, dag, task

@dag(schedule=None, max_active_tasks=1, default_args={{"retries": 0}})
def noop():
    @task
    def nothing() -> None:
        pass

    chain(*[nothing.override(task_id=f"nothing_{{number:02d}}")() for number in range({tasks})])

noop()
"""

# Hides a distribution's entry points from Airflow, as if it were not installed.
_HIDE = """
import importlib.metadata as metadata

_real = metadata.Distribution.entry_points

def _entry_points(self):
    return metadata.EntryPoints(point for point in _real.fget(self) if "airflow_provider_atlas" not in point.value)

metadata.Distribution.entry_points = property(_entry_points)
"""

_DROPPED = 3


def variants(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the environment of each variant, by its name."""
    (folder / "hide").mkdir()
    (folder / "hide" / "sitecustomize.py").write_text(_HIDE)
    hidden = {"PYTHONPATH": str(folder / "hide")}
    quiet = {"AIRFLOW__OPENLINEAGE__DISABLED": "True"}
    transport = json.dumps({"type": "file", "log_file_path": str(folder / "lineage.jsonl")})
    simulated = {"AIRFLOW__ATLAS__ATTESTER": f"simulated:{folder}/tee"}
    return {
        "without": {**hidden, **quiet},
        "atlas off": {**quiet, "AIRFLOW__ATLAS__MODE": "off"},
        "atlas observe, no TEE": {**quiet, "AIRFLOW__ATLAS__MODE": "observe"},
        "atlas observe, simulated TEE": {**quiet, **simulated, "AIRFLOW__ATLAS__MODE": "observe"},
        "atlas enforce, simulated TEE": {**quiet, **simulated, "AIRFLOW__ATLAS__MODE": "enforce"},
        "openlineage, file transport": {"AIRFLOW__ATLAS__MODE": "off", "AIRFLOW__OPENLINEAGE__TRANSPORT": transport},
    }


def durations(home: Path, dags: Path, environment: Mapping[str, str]) -> list[float]:
    """Run the DAG once on a cluster of its own; return how long each task took, in milliseconds."""
    settings = {"AIRFLOW__CORE__PARALLELISM": "1", **environment}
    with Cluster(home, dags, settings) as cluster:
        run_id, state = cluster.run("noop", timeout=600)
        rows = cluster.query("select start_date, end_date from task_instance where run_id = ? order by task_id", run_id)
    if state != "success":
        raise SystemExit(f"the run ended as {state}: {cluster.log('scheduler')}")
    spans = [datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start)) for start, end in rows]
    return [span.total_seconds() * 1000 for span in spans[_DROPPED:]]


def main() -> int:
    """Measure, print a table, and return 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="how often the variants take turns")
    parser.add_argument("--tasks", type=int, default=33, help="tasks in the DAG, of which three are dropped")
    arguments = parser.parse_args()
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "dags").mkdir()
        (folder / "dags" / "noop.py").write_text(_DAG.format(tasks=arguments.tasks))
        prepared = variants(folder)
        for number in range(arguments.rounds):
            for place, (variant, environment) in enumerate(prepared.items()):
                taken.setdefault(variant, []).extend(
                    durations(folder / f"airflow-{number}-{place}", folder / "dags", environment)
                )
                print(f"  {variant}: {statistics.median(taken[variant]):.0f} ms", file=sys.stderr)
    return report(taken)


def report(taken: Mapping[str, list[float]]) -> int:
    """Print the table; return 0 when the promises hold: at most 15 ms more, and less than OpenLineage."""
    # To hide the plugin costs each process something, too: the lower of the two is what there is without it.
    base = min(statistics.median(taken["without"]), statistics.median(taken["atlas off"]))
    print(f"{'variant':32} {'n':>4} {'median':>9} {'p90':>9} {'more':>9}")
    for variant, values in taken.items():
        median = statistics.median(values)
        p90 = statistics.quantiles(values, n=10)[-1]
        print(f"{variant:32} {len(values):4} {median:6.1f} ms {p90:6.1f} ms {median - base:+6.1f} ms")
    atlas = statistics.median(taken["atlas observe, no TEE"])
    lineage = statistics.median(taken["openlineage, file transport"])
    kept = atlas - base <= 15 and atlas < lineage
    print(f"promise (at most +15 ms, and below OpenLineage): {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
