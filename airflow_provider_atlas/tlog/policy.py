"""A witness policy: which witnesses must have cosigned a checkpoint before it is believed.

::

    witness one w1.example+c74f20a3+BBpc2QcU… https://w1.example/
    witness two w2.example+2ab9e1f4+BKx8pZ0d… https://w2.example/
    group both 2 one two
    quorum both

The text is for people, who may comment and indent; ``to_text`` writes what it says in one spelling.

See: https://c2sp.org/tlog-policy. Names and comments are UTF-8, and logs sign with Ed25519 (0x01).
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_atlas.encoding import parse_decimal
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.cosignature import COSIGNER_KINDS, cosigned
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey

MAX_POLICY_BYTES = 1 << 18
"""The largest witness policy that is read."""

MAX_LINES = 64
"""The most logs, witnesses and groups, of each, that a policy may have. The specification asks for 32 at least."""

_NONE = "none"
_SPACES = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WORDS = {"log": (1, 2), "witness": (2, 3), "group": (3, MAX_LINES + 2), "quorum": (1, 1)}

T = TypeVar("T", "KnownLog", "Witness", "Group")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLog:
    """A log whose checkpoints the policy is about, and where it is to be found, if that is said."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness: its ``name`` within the policy, its key, and its submission prefix, if that is said."""

    name: str
    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group, which witnesses a checkpoint when at least ``threshold`` of its ``members`` do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPolicy:
    """A policy as parsed: every name is defined before it is used. ``quorum`` is a name, or None for ``none``."""

    logs: tuple[KnownLog, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str | None

    @classmethod
    def parse(cls, data: bytes) -> "WitnessPolicy":
        """Return the policy in ``data``. Raises MalformedError, which names the line, when it is none."""
        if len(data) > MAX_POLICY_BYTES:
            raise MalformedError(f"expected a witness policy of at most {MAX_POLICY_BYTES} bytes")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError("expected a witness policy in UTF-8") from error
        if not text.endswith("\n") or _CONTROL.search(text):
            raise MalformedError("expected a witness policy of whole lines, with no control character but tabs")
        reader = _Reader()
        for number, line in enumerate(text.split("\n"), 1):
            words = _SPACES.split(line.strip(" \t"))
            if words != [""] and not words[0].startswith("#"):
                try:
                    reader.read(words)
                except MalformedError as error:
                    raise MalformedError(f"line {number} of the witness policy: {error}") from error
        return reader.policy()

    def to_text(self) -> str:
        """Return the policy in one spelling: logs, witnesses, groups and the quorum, thresholds as numbers."""
        lines = [
            *(_line("log", str(log.key), log.url) for log in self.logs),
            *(_line("witness", each.name, str(each.key), each.url) for each in self.witnesses),
            *(_line("group", group.name, str(group.threshold), *group.members) for group in self.groups),
            _line("quorum", self.quorum or _NONE),
        ]
        return "".join(f"{line}\n" for line in lines)

    def holds(self, names: Collection[str]) -> bool:
        """Whether the witnesses called ``names`` are a quorum."""
        witnessed = set(names) & {witness.name for witness in self.witnesses}
        for group in self.groups:  # members are defined before their group
            if len(witnessed.intersection(group.members)) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum is None or self.quorum in witnessed

    def cosigners(self, note: SignedNote) -> Sequence[str]:
        """Return the names of the witnesses that cosigned the checkpoint in ``note``. Raises as ``cosigned`` does."""
        times = cosigned(note, [witness.key for witness in self.witnesses])
        return [witness.name for witness in self.witnesses if witness.key in times]

    def check(self, note: SignedNote) -> Sequence[str]:
        """Return the names of the witnesses that cosigned the checkpoint in ``note``, when they are a quorum.

        Raises SignatureError when they are not, and as ``cosigned`` does.
        """
        names = self.cosigners(note)
        if not self.holds(names):
            raise SignatureError(
                f"expected a checkpoint cosigned by the quorum {self.quorum}; "
                f"of its {len(self.witnesses)} witnesses {len(names)} did: {', '.join(names) or 'none'}"
            )
        return names


class _Reader:
    """What the lines of a policy have defined so far."""

    def __init__(self) -> None:
        self.logs: list[KnownLog] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self._quorum: list[str] = []
        self._free: dict[str, bool] = {}  # each name that is defined, and whether it may still become a member

    def read(self, words: Sequence[str]) -> None:
        kind, *rest = words
        least, most = _WORDS.get(kind, (1, 0))
        if not least <= len(rest) <= most:
            raise MalformedError("expected a log, a witness, a group or the quorum, as tlog-policy spells them")
        readers: dict[str, Callable[[Sequence[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._read_quorum,
        }
        readers[kind](rest)

    def policy(self) -> WitnessPolicy:
        if len(self._quorum) != 1:
            raise MalformedError("expected exactly one quorum line in a witness policy")
        quorum = self._quorum[0]
        return WitnessPolicy(
            logs=tuple(self.logs),
            witnesses=tuple(self.witnesses),
            groups=tuple(self.groups),
            quorum=None if quorum == _NONE else quorum,
        )

    def _log(self, words: Sequence[str]) -> None:
        key, *url = words
        log = KnownLog(key=VerifierKey.parse(key), url=_url(url))
        if any(other.key.public_key == log.key.public_key for other in self.logs):
            raise MalformedError("expected each log's key once")
        _add(self.logs, log)

    def _witness(self, words: Sequence[str]) -> None:
        name, key, *url = words
        witness = Witness(name=self._define(name), key=VerifierKey.parse(key, kinds=COSIGNER_KINDS), url=_url(url))
        # A second name for one key would let one witness count as two.
        if any(other.key.public_key == witness.key.public_key for other in self.witnesses):
            raise MalformedError("expected each witness's key once")
        _add(self.witnesses, witness)

    def _group(self, words: Sequence[str]) -> None:
        name, threshold, *members = words
        for member in members:
            if not self._free.get(member):
                raise MalformedError("expected each member of a group to be defined before, and to be in no other")
            self._free[member] = False
        count = {"any": 1, "all": len(members)}.get(threshold)
        group = Group(
            name=self._define(name),
            threshold=parse_decimal(threshold) if count is None else count,
            members=tuple(members),
        )
        if not 1 <= group.threshold <= len(members):
            raise MalformedError("expected the threshold of a group to be at least 1, and at most its members")
        _add(self.groups, group)

    def _read_quorum(self, words: Sequence[str]) -> None:
        if words[0] != _NONE and words[0] not in self._free:
            raise MalformedError("expected the quorum to be a witness or a group that was defined before")
        self._quorum.extend(words)

    def _define(self, name: str) -> str:
        if name == _NONE or name in self._free:
            raise MalformedError("expected each name to be defined once, and never to be none")
        self._free[name] = True
        return name


def _add(lines: list[T], line: T) -> None:
    if len(lines) == MAX_LINES:
        raise MalformedError(f"expected at most {MAX_LINES} lines of each kind")
    lines.append(line)


def _url(words: Sequence[str]) -> str | None:
    return words[0] if words else None


def _line(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None)
