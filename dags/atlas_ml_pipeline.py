"""A training pipeline whose every step is attested: from a table of measurements to a published model.

    ingest ─▶ validate ─▶ split ─▶ train[0…3] ─▶ evaluate ─▶ package ─▶ verify ─▶ publish
                                                               ▲
                                             requirements ─────┘

The data are 569 tumours, measured under the microscope, that scikit-learn ships (Wisconsin breast cancer, 1995); the
model tells the malignant ones. Nothing here is random: the same versions give the same model.

Atlas attests all of these tasks, whatever kind they are and whether or not they know of it. What a task says of its
files decides how much the record shows, and there are four ways to say it, in the order of what they ask of you:

* nothing (``requirements``): the record has the code, the outcome, and digests of what went through XCom;
* Airflow's own ``inlets`` and ``outlets`` (``ingest``, ``validate``, ``package``, ``publish``): files are hashed, too;
* ``AtlasOperator`` or ``@task.atlas`` with ``inputs`` and ``outputs`` (``split``, ``evaluate``): without assets;
* ``record_input``, ``record_output`` and ``record_metric`` (``train``): for what is known only while the task runs.

Files go below ``$ATLAS_DEMO_DATA``, or ``$AIRFLOW_HOME/atlas-ml-pipeline`` without it. ``atlas demo`` runs this file.
"""

import csv
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, dag, task

from airflow_provider_atlas.operators import AtlasOperator, AtlasVerifyOperator
from airflow_provider_atlas.recording import record_input, record_metric, record_output

# --- The files, by name. They are named here and not in the tasks, so that one task's output is the next one's input.


def data_folder() -> Path:
    """Where the files go, by an absolute path: every worker must mean the same file by it."""
    home = os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow"
    return Path(os.environ.get("ATLAS_DEMO_DATA") or Path(home, "atlas-ml-pipeline")).absolute()


def shipped_table() -> Path:
    """The table as scikit-learn ships it: the one input that comes from outside."""
    # Found, and not imported: that would take a second, each time that this file is parsed.
    library = find_spec("sklearn")
    if library is None or library.origin is None:
        raise ImportError("this pipeline needs scikit-learn: pip install 'airflow-provider-atlas[demo]'")
    return Path(library.origin).parent / "datasets" / "data" / "breast_cancer.csv"


DATA = data_folder()
SHIPPED = shipped_table()
TABLE = DATA / "tumours.csv"
SUMMARY = DATA / "tumours.summary.txt"
TRAINING = DATA / "training.csv"
TEST = DATA / "test.csv"
SCORES = DATA / "scores.json"
RELEASE = DATA / "release"
PUBLISHED = DATA / "published"

# How deep a tree of the forest may grow: the hyper-parameter that the training is mapped over.
DEPTHS = [1, 2, 4, 8]
CANDIDATES = {depth: DATA / f"candidate-depth-{depth}.joblib" for depth in DEPTHS}


def asset(path: Path) -> Asset:
    """``path`` as Airflow names it."""
    return Asset(path.as_uri())


# --- What the tasks do. Plain functions: each reads files, writes files, and can be called from a test.


def write_table() -> None:
    """Write the shipped table with a header and the answer in its last column: 1 is malignant."""
    from sklearn.datasets import load_breast_cancer

    tumours = load_breast_cancer()
    DATA.mkdir(parents=True, exist_ok=True)
    with TABLE.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*tumours.feature_names, "malignant"])
        # scikit-learn's 0 is malignant and its 1 benign, which would make a good score of a missed tumour.
        rows.writerows([*features, 1 - answer] for features, answer in zip(tumours.data, tumours.target, strict=True))


def split_table() -> None:
    """Put one row in five aside, for the test. Rows of both answers, in the proportion of the table."""
    from sklearn.model_selection import train_test_split

    header, *rows = TABLE.read_text().splitlines(keepends=True)
    answers = [row.rstrip().rpartition(",")[2] for row in rows]
    training, test = train_test_split(rows, test_size=0.2, random_state=0, stratify=answers)
    TRAINING.write_text("".join([header, *training]))
    TEST.write_text("".join([header, *test]))


def load(table: Path) -> tuple[Any, Any]:
    """The features and the answers of a table, as arrays."""
    import numpy as np

    rows = np.loadtxt(table, delimiter=",", skiprows=1)
    return rows[:, :-1], rows[:, -1]


def train_candidate(depth: int) -> None:
    """Train a forest of trees no deeper than ``depth``, and keep it."""
    import joblib
    from sklearn.ensemble import RandomForestClassifier

    record_input(TRAINING)
    features, answers = load(TRAINING)
    forest = RandomForestClassifier(n_estimators=50, max_depth=depth, random_state=0).fit(features, answers)
    joblib.dump(forest, CANDIDATES[depth])
    record_output(CANDIDATES[depth], kind="model")
    record_metric("training_accuracy", forest.score(features, answers))


def score_candidates() -> None:
    """Measure every candidate on the rows that none has seen, and write down the scores, best first."""
    import joblib
    from sklearn.metrics import accuracy_score, recall_score

    features, answers = load(TEST)
    scores = []
    for depth, candidate in CANDIDATES.items():
        # joblib runs what a file tells it to. Atlas has hashed these files just now, and would not have started this
        # task if one of them were not what training wrote.
        found = joblib.load(candidate).predict(features)
        accuracy, recall = accuracy_score(answers, found), recall_score(answers, found)
        scores.append({"depth": depth, "accuracy": round(accuracy, 4), "recall": round(recall, 4)})
    scores.sort(key=lambda score: (-score["accuracy"], score["depth"]))
    SCORES.write_text(json.dumps(scores, indent=2) + "\n")
    record_metric("accuracy", scores[0]["accuracy"])
    record_metric("recall", scores[0]["recall"])


def make_release(required: dict[str, float]) -> None:
    """Put the best candidate and its card into a folder; raise ValueError when none does what is required."""
    best = json.loads(SCORES.read_text())[0]
    missed = [f"{name} {best[name]} < {least}" for name, least in required.items() if best[name] < least]
    if missed:
        raise ValueError(f"no candidate is good enough: {', '.join(missed)}")
    shutil.rmtree(RELEASE, ignore_errors=True)
    RELEASE.mkdir()
    shutil.copyfile(CANDIDATES[best["depth"]], RELEASE / "model.joblib")
    card = {"data": SHIPPED.name, "required": required, **best}
    (RELEASE / "card.json").write_text(json.dumps(card, indent=2) + "\n")


# --- The pipeline. Airflow's operators and decorators, mixed as they come.


@dag(
    dag_id="atlas_ml_pipeline",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # two runs at once would write to the same files
    tags=["atlas", "example"],
    doc_md=__doc__,
)
def atlas_ml_pipeline() -> None:
    """From a table of measurements to a published model, every step attested."""
    # An operator of Airflow's, and assets. The shipped table is an inlet: the record says which data this began with.
    ingest = PythonOperator(
        task_id="ingest", python_callable=write_table, inlets=[asset(SHIPPED)], outlets=[asset(TABLE)]
    )

    # A shell command. It ends badly when a row has not 31 columns, and then nothing after it runs.
    validate = BashOperator(
        task_id="validate",
        bash_command=(
            'awk -F, \'NF != 31 { bad++ } END { print NR - 1 " rows, " bad + 0 " bad"; exit bad > 0 }\''
            ' "$TABLE" > "$SUMMARY"'
        ),
        env={"TABLE": str(TABLE), "SUMMARY": str(SUMMARY)},
        append_env=True,
        inlets=[asset(TABLE)],
        outlets=[asset(SUMMARY)],
    )

    # A function, attested by its decorator: inputs and outputs are paths, and no asset is needed.
    @task.atlas(inputs=[str(TABLE)], outputs=[str(TRAINING), str(TEST)])
    def split() -> None:
        split_table()

    # One task for each depth. Which file an instance writes is known only when it runs, so it says so itself.
    @task
    def train(depth: int) -> None:
        train_candidate(depth)

    evaluate = AtlasOperator(
        task_id="evaluate",
        python_callable=score_candidates,
        inputs=[str(TEST), *map(str, CANDIDATES.values())],
        outputs=[str(SCORES)],
    )

    # A task that knows nothing of Atlas, nor of files. What it hands on by XCom is attested all the same.
    @task
    def requirements() -> dict[str, float]:
        return {"accuracy": 0.9, "recall": 0.85}

    # A folder is an artifact, too: its digest covers every file in it, and their names.
    @task(inlets=[asset(SCORES), *map(asset, CANDIDATES.values())], outlets=[asset(RELEASE)])
    def package(required: dict[str, float]) -> None:
        make_release(required)

    # The gate: everything before it is judged by the policy in [atlas] policy, and when that says no, it ends here.
    verify = AtlasVerifyOperator(task_id="verify")

    @task(inlets=[asset(RELEASE)], outlets=[asset(PUBLISHED)])
    def publish() -> str:
        shutil.rmtree(PUBLISHED, ignore_errors=True)
        shutil.copytree(RELEASE, PUBLISHED)
        return str(PUBLISHED / "model.joblib")

    trained = train.expand(depth=DEPTHS)
    ingest >> validate >> split() >> trained >> evaluate >> package(requirements()) >> verify >> publish()


atlas_ml_pipeline()
