"""What a task's own code may record, and what it may not."""

from pathlib import Path
from threading import Thread

import pytest

from airflow_provider_atlas.errors import CaptureError
from airflow_provider_atlas.recording import record_input, record_metric, record_output, recording


class Asset:
    uri = "file:///data/table"


def test_outside_a_task_nothing_is_recorded() -> None:
    record_input("/data/x")
    record_output("/data/y", kind="model")
    record_metric("accuracy", float("nan"))


def test_inside_a_task_everything_is_recorded_in_order() -> None:
    with recording() as recorded:
        record_input("/data/x")
        record_input(Path("/data/z"))
        record_input(Asset())
        record_output("/data/y", kind="model")
        record_metric("accuracy", 0.5)
        record_metric("accuracy", 0.75)
        record_metric("rows", 7)
    assert recorded.inputs == ["/data/x", "/data/z", "file:///data/table"]
    assert recorded.outputs == ["/data/y"]
    assert recorded.kinds == {"/data/y": "model"}
    assert recorded.metrics == {"accuracy": 0.75, "rows": 7}
    record_input("/data/later")
    assert "/data/later" not in recorded.inputs


def test_a_thread_of_the_task_records_for_it() -> None:
    with recording() as recorded:
        thread = Thread(target=record_output, args=("/data/of-a-thread",))
        thread.start()
        thread.join()
    assert recorded.outputs == ["/data/of-a-thread"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_metric_is_a_finite_number(value: float) -> None:
    with recording(), pytest.raises(CaptureError, match="finite"):
        record_metric("accuracy", value)


def test_what_is_neither_text_nor_path_is_refused() -> None:
    with recording(), pytest.raises(CaptureError, match="not int"):
        record_input(7)
