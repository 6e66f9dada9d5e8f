"""The thirteen questions that a verification asks: their numbers, their names, and what they mean to people.

A number is part of the report's format (``docs/format.md`` §8): it never changes its meaning, and none is used again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: ``name`` as a check carries it, ``question`` in plain words, ``failure`` what a no means."""

    number: int
    name: str
    question: str
    failure: str


_ALL = (
    Question(
        number=1,
        name="signature",
        question="Is every envelope signed by a key that the policy trusts?",
        failure="Somebody whom the policy does not trust wrote this record, or it was changed after it was signed.",
    ),
    Question(
        number=2,
        name="statement",
        question="Do the documents of one record tell one story?",
        failure="The link, its provenance, its start and its TEE statement contradict one another.",
    ),
    Question(
        number=3,
        name="evidence",
        question="Is the quote genuine, up to a root that the policy accepts?",
        failure="No platform that the policy accepts issued this quote; or the policy asks for one and there is none.",
    ),
    Question(
        number=4,
        name="binding",
        question="Does the quote commit to this link, its key, its nonce and its beacon; in a session, to its key?",
        failure="The quote was made for something else: it says nothing about this record.",
    ),
    Question(
        number=5,
        name="appraisal",
        question="Are the measurements and the TCB what the policy accepts?",
        failure="The task ran in a machine whose code, configuration or firmware the policy does not accept.",
    ),
    Question(
        number=6,
        name="inclusion",
        question="Does each receipt lead from its envelope to a checkpoint that the policy's log signed?",
        failure="Nothing shows that this record was made public: it can have been made, or exchanged, at any time.",
    ),
    Question(
        number=7,
        name="artifacts",
        question="Do the files that are still there hash to what was attested?",
        failure="What lies at the URI now is not what the task read or wrote.",
    ),
    Question(
        number=8,
        name="manifest",
        question="Is there a manifest of this run, signed and logged?",
        failure="Nobody vouches for what the run consisted of: records can be missing without a trace.",
    ),
    Question(
        number=9,
        name="identity",
        question="Is every record of this run, in its place, and told once?",
        failure="A record of another run, task or try stands here, or one stands here twice.",
    ),
    Question(
        number=10,
        name="pipeline",
        question="Do all records commit to one pipeline?",
        failure="The DAG changed while it ran, or the archive holds another DAG than the one that ran.",
    ),
    Question(
        number=11,
        name="completeness",
        question="Is there a record for everything that ran?",
        failure="Something ran, or began, and there is no record of how it ended.",
    ),
    Question(
        number=12,
        name="lineage",
        question="Does each record name its upstreams' records by digest, and are its inputs their outputs?",
        failure="A task used something else than what the task before it made, or does not say whose work it built on.",
    ),
    Question(
        number=13,
        name="outcome",
        question="Did every task end well, and was no state set by hand?",
        failure="A task or the run failed, or somebody set a state that no record supports.",
    ),
)

QUESTIONS: Mapping[int, Question] = MappingProxyType({question.number: question for question in _ALL})
"""Every question by its number, in order."""

NAMES: Mapping[int, str] = MappingProxyType({question.number: question.name for question in _ALL})
"""The name of every question by its number, in order."""
