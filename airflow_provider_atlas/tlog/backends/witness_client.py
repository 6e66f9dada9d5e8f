"""What a log asks its witnesses before it publishes a checkpoint.

All witnesses are asked at once, so the slowest of a quorum is what a commit waits for. Nothing is kept open between two
checkpoints, so a log may be used across a fork.

See: https://c2sp.org/tlog-witness.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas.errors import AtlasError, ConfigError, LogError, MalformedError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.cosignature import verify_cosignature
from airflow_provider_atlas.tlog.note import NoteSignature, SignedNote
from airflow_provider_atlas.tlog.policy import Witness, WitnessPolicy
from airflow_provider_atlas.tlog.witness import (
    MAX_REQUEST_BYTES,
    SIZE_TYPE,
    AddCheckpoint,
    OvertakenError,
    Proof,
    parse_lines,
)
from airflow_provider_atlas.tlog.witness import parse_size as parse_tree_size

LOGGER = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
"""How long a log waits for its witnesses."""

_GRACE_SECONDS = 0.25
"""How long it waits for the others once it has a quorum: a witness that is not asked falls behind."""

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    witness: Witness
    lines: Sequence[NoteSignature] = ()
    trouble: str = ""
    overtaken: bool = False


class Witnesses:
    """Those of ``policy`` that have a URL; call it with a checkpoint (``tlog.witness.Cosign``).

    Without a quorum a checkpoint is refused (LogError), or published all the same when ``fail_open``. Raises
    ConfigError when those that have a URL can never be a quorum.
    """

    def __init__(self, policy: WitnessPolicy, *, fail_open: bool, timeout: float = TIMEOUT_SECONDS) -> None:
        self._policy = policy
        self._asked = [witness for witness in policy.witnesses if witness.url]
        if not policy.holds([witness.name for witness in self._asked]):
            raise ConfigError("expected a witness policy with the URLs of so many witnesses that they are a quorum")
        self._fail_open = fail_open
        self._timeout = timeout
        self._sizes: dict[str, int] = {}  # what each witness is thought to have cosigned last

    def __call__(self, note: SignedNote, before: SignedNote | None, proof: Proof) -> SignedNote:
        """Return ``note`` with the cosignatures of all witnesses that answered in time (``Cosign``)."""
        size = Checkpoint.parse(note.text).size
        self._learn(before)
        replies = self._ask(note, proof)
        for reply in replies:
            if reply.lines:
                self._sizes[reply.witness.name] = size
        lines = tuple(line for reply in replies for line in reply.lines)
        if not self._policy.holds([reply.witness.name for reply in replies if reply.lines]):
            self._complain(replies)
        return SignedNote(text=note.text, signatures=note.signatures + lines)

    def _learn(self, before: SignedNote | None) -> None:
        # Another process may have published it, so what this one remembers is not enough. It is a hint: a witness that
        # knows another size says so.
        if before is None:
            return
        size = Checkpoint.parse(before.text).size
        signed = {(line.name, line.key_id) for line in before.signatures}
        for witness in self._asked:
            if (witness.key.name, witness.key.key_id) in signed:
                self._sizes[witness.name] = max(size, self._sizes.get(witness.name, 0))

    def _ask(self, note: SignedNote, proof: Proof) -> list[_Reply]:
        """Return the replies that came before the time was up, or a little after there was a quorum."""
        inbox: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
        for witness in self._asked:
            arguments = (witness, note, proof, inbox)
            # A daemon, so that a process that ends does not wait for a witness that never answers.
            threading.Thread(target=self._ask_one, args=arguments, daemon=True).start()
        replies: list[_Reply] = []
        deadline, shortened = time.monotonic() + self._timeout, False
        while len(replies) < len(self._asked):
            try:
                replies.append(inbox.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                break
            if not shortened and self._policy.holds([reply.witness.name for reply in replies if reply.lines]):
                deadline, shortened = min(deadline, time.monotonic() + _GRACE_SECONDS), True
        return replies

    def _ask_one(self, witness: Witness, note: SignedNote, proof: Proof, inbox: "queue.SimpleQueue[_Reply]") -> None:
        import requests

        try:
            lines = add_checkpoint(witness, note, proof, old=self._sizes.get(witness.name, 0), timeout=self._timeout)
            inbox.put(_Reply(witness=witness, lines=lines))
        except (AtlasError, OSError, requests.RequestException) as error:
            inbox.put(_Reply(witness=witness, trouble=str(error), overtaken=isinstance(error, OvertakenError)))

    def _complain(self, replies: Sequence[_Reply]) -> None:
        heard = {reply.witness.name: reply.trouble for reply in replies if not reply.lines}
        answered = {reply.witness.name for reply in replies if reply.lines}
        troubles = [
            f"{witness.name}: {heard.get(witness.name) or 'no answer in time'}"
            for witness in self._asked
            if witness.name not in answered
        ]
        reason = "; ".join(troubles)
        if not self._fail_open:
            kind = OvertakenError if any(reply.overtaken for reply in replies) else LogError
            raise kind(f"no quorum of witnesses cosigned the log's checkpoint, so it waits: {reason}")
        LOGGER.warning("A checkpoint is published without a quorum of its witnesses: %s", reason)


def add_checkpoint(
    witness: Witness, note: SignedNote, proof: Proof, *, old: int = 0, timeout: float = TIMEOUT_SECONDS
) -> tuple[NoteSignature, ...]:
    """Return the lines by which ``witness`` cosigns the checkpoint in ``note``, verified.

    ``old`` is the size that it is thought to have cosigned last; it says so when it is another. Raises LogError when it
    refuses, OvertakenError when it has cosigned more, MalformedError or SignatureError for an answer that is none, and
    ``requests``' error when it is away.
    """
    size = Checkpoint.parse(note.text).size
    for _ in range(_ATTEMPTS):
        request = AddCheckpoint(old=old, proof=tuple(proof(old)), note=note)
        status, kind, body = _post(f"{(witness.url or '').rstrip('/')}/add-checkpoint", request.to_bytes(), timeout)
        if status == 200:
            return _lines(witness, note, body)
        if status != 409 or kind != SIZE_TYPE:
            raise LogError(f"refused with {status}: {body[:200].decode('utf-8', 'replace').strip()!r}")
        told = parse_tree_size(body.decode("utf-8", "replace").removesuffix("\n"))
        if told == old or told > size:
            raise (OvertakenError if told > size else LogError)(
                f"it cosigned {told} entries of another history, or of a log that was rolled back: compare with it"
            )
        old = told
    raise LogError("its size changed with each request: is another copy of this log running?")


def _lines(witness: Witness, note: SignedNote, body: bytes) -> tuple[NoteSignature, ...]:
    key = witness.key
    mine = tuple(line for line in parse_lines(body) if (line.name, line.key_id) == (key.name, key.key_id))
    if not mine:
        raise MalformedError("expected a cosignature by the key that the policy has")
    for line in mine:
        verify_cosignature(line, key, note.text)
    return mine


def _post(url: str, body: bytes, timeout: float) -> tuple[int, str, bytes]:
    import requests

    with requests.post(url, data=body, timeout=timeout, stream=True, allow_redirects=False) as response:
        content = b""
        for chunk in response.iter_content(1 << 16):
            content += chunk
            if len(content) > MAX_REQUEST_BYTES:
                raise MalformedError("expected a short answer of a witness")
        return response.status_code, response.headers.get("Content-Type", "").split(";")[0].strip(), content
