"""The example pipeline: its tasks, and what they do when they are called one after the other without Airflow."""

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "dags" / "atlas_ml_pipeline.py"


def load(monkeypatch, folder):
    """The pipeline's file as Airflow loads it, with its data in ``folder``."""
    monkeypatch.setenv("ATLAS_DEMO_DATA", str(folder))
    spec = importlib.util.spec_from_file_location("atlas_ml_pipeline_under_test", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def work(pipeline):
    """Do what the tasks do, up to the gate, and return the digest of every file."""
    pipeline.write_table()
    pipeline.split_table()
    for depth in pipeline.DEPTHS:
        pipeline.train_candidate(depth)
    pipeline.score_candidates()
    pipeline.make_release({"accuracy": 0.9, "recall": 0.85})
    files = [path for path in sorted(pipeline.DATA.rglob("*")) if path.is_file()]
    return {str(path.relative_to(pipeline.DATA)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        pipeline = load(monkeypatch, tmp_path_factory.mktemp("data"))
        return pipeline, work(pipeline)


def test_the_tasks_are_of_every_kind_and_in_order(monkeypatch, tmp_path):
    dag = load(monkeypatch, tmp_path).atlas_ml_pipeline()
    kinds = {task_id: task.task_type for task_id, task in dag.task_dict.items()}
    assert kinds == {
        "ingest": "PythonOperator",
        "validate": "BashOperator",
        "split": "AtlasDecoratedOperator",
        "train": "_PythonDecoratedOperator",
        "evaluate": "AtlasOperator",
        "requirements": "_PythonDecoratedOperator",
        "package": "_PythonDecoratedOperator",
        "verify": "AtlasVerifyOperator",
        "publish": "_PythonDecoratedOperator",
    }
    assert dag.task_dict["train"].is_mapped
    assert dag.task_dict["verify"].upstream_task_ids == {"package"}
    assert dag.task_dict["publish"].upstream_task_ids == {"verify"}


def test_one_tasks_output_is_the_next_ones_input(monkeypatch, tmp_path):
    dag = load(monkeypatch, tmp_path).atlas_ml_pipeline()
    uri = (tmp_path / "tumours.csv").as_uri()
    assert [asset.uri for asset in dag.task_dict["ingest"].outlets] == [uri]
    assert [asset.uri for asset in dag.task_dict["validate"].inlets] == [uri]
    assert dag.task_dict["split"].inputs == [str(tmp_path / "tumours.csv")]


def test_the_table_is_the_one_that_is_shipped(done):
    pipeline, _ = done
    header, *rows = pipeline.TABLE.read_text().splitlines()
    assert header.startswith("mean radius,")
    assert header.endswith(",malignant")
    assert len(rows) == 569
    assert sum(row.endswith(",1") for row in rows) == 212  # malignant ones, as the data's own description says
    assert b"\r" not in pipeline.TABLE.read_bytes()


def test_no_row_is_trained_on_and_tested_on(done):
    pipeline, _ = done
    training, test = (set(path.read_text().splitlines()[1:]) for path in (pipeline.TRAINING, pipeline.TEST))
    assert not training & test
    assert len(training) + len(test) == 569


def test_the_released_model_is_the_best_and_good_enough(done):
    pipeline, _ = done
    scores = json.loads(pipeline.SCORES.read_text())
    card = json.loads((pipeline.RELEASE / "card.json").read_text())
    assert {score["depth"] for score in scores} == set(pipeline.DEPTHS)
    assert card["accuracy"] == max(score["accuracy"] for score in scores) >= 0.9
    assert (pipeline.RELEASE / "model.joblib").read_bytes() == pipeline.CANDIDATES[card["depth"]].read_bytes()


def test_the_same_data_give_the_same_files(done, monkeypatch, tmp_path):
    _, digests = done
    assert work(load(monkeypatch, tmp_path)) == digests


def test_a_model_that_is_not_good_enough_is_not_released(done):
    pipeline, _ = done
    before = (pipeline.RELEASE / "card.json").read_bytes()
    with pytest.raises(ValueError, match=r"no candidate is good enough: accuracy 0\.9"):
        pipeline.make_release({"accuracy": 1.01})
    assert (pipeline.RELEASE / "card.json").read_bytes() == before


def test_a_worker_without_scikit_learn_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(ImportError, match="pip install"):
        load(monkeypatch, tmp_path)
