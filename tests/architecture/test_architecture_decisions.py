"""The decisions on record: each has a number of its own and a line in the index."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "adr"


def test_the_index_lists_every_decision_once_and_in_order():
    listed = re.findall(r"^\* \[\d{4}\]\((\d{4}-[a-z0-9-]+\.md)\)", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert listed == sorted(path.name for path in FOLDER.glob("[0-9]*.md"))


def test_no_two_decisions_share_a_number():
    numbers = [path.name[:4] for path in FOLDER.glob("[0-9]*.md")]
    assert len(numbers) == len(set(numbers))
