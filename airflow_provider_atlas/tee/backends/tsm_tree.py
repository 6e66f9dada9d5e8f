"""The tree of files that an emulated configfs-tsm shows: which there are, their modes, and who owns them.

::

    tsm/report/NAME/…                 generation provider inblob outblob, and auxblob privlevel privlevel_floor
    tdx_guest/measurements/…          the registers, as tsm_mr has them
    acpi/tables/data/CCEL             the boot event log
    faults                            what the next reports meet; nothing of Linux's

See: Linux, drivers/virt/coco/guest/report.c and tsm-mr.c, for the modes.
"""

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from airflow_provider_atlas.tee.backends.tsm_emulation import Request, TsmEmulation

Kind = Literal["folder", "attribute", "blob", "register", "event log", "faults"]
"""What a node is, which decides how it is read and written."""

TreePath = tuple[str, ...]
"""The names on the way from the root."""

REPORT: TreePath = ("tsm", "report")
"""The folder of requests."""

_REGISTERS: TreePath = ("tdx_guest", "measurements")
_EVENT_LOG: TreePath = ("acpi", "tables", "data", "CCEL")
_FAULTS: TreePath = ("faults",)
_ATTRIBUTES: Mapping[str, int] = {"generation": 0o444, "provider": 0o444}
_LEVELS: Mapping[str, int] = {"privlevel": 0o200, "privlevel_floor": 0o444}
_BLOBS: Mapping[str, int] = {"inblob": 0o200, "outblob": 0o444}
_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A file or folder: ``mode`` with the bits of its type, ``size`` in bytes, and the request it belongs to."""

    kind: Kind
    mode: int
    size: int = 0
    uid: int = field(default_factory=os.geteuid)  # root's, unless another user has mounted it
    gid: int = field(default_factory=os.getegid)
    request: Request | None = None


class TsmTree:
    """The files of ``tsm``. What is made belongs to who mounted it (to root, on Linux), whoever owns the folder."""

    def __init__(self, tsm: TsmEmulation) -> None:
        self._tsm = tsm
        self._changed: dict[TreePath, dict[str, int]] = {}

    def node(self, path: TreePath) -> Node:
        """Return what is at ``path``. Raises OSError ENOENT."""
        in_requests = path[:2] == REPORT and len(path) > 2
        found = self._request_node(path) if in_requests else self._fixed_node(path)
        if found is None:
            raise OSError(errno.ENOENT, "no such file")
        return replace(found, **self._changed.get(path, {}))  # type: ignore[arg-type]  # numbers, by their names

    def change(self, path: TreePath, **changes: int) -> None:
        """Change ``mode``, ``uid`` or ``gid`` of what is at ``path``. Raises OSError ENOENT."""
        self.node(path)
        self._changed.setdefault(path, {}).update(changes)

    def forget(self, path: TreePath) -> None:
        """Forget what was changed at ``path`` and below."""
        self._changed = {each: kept for each, kept in self._changed.items() if each[: len(path)] != path}

    def names(self, path: TreePath) -> Sequence[str]:
        """Return the names in the folder ``path``."""
        if path == REPORT:
            return list(self._tsm.requests)
        if path[:2] == REPORT:
            return [*self._attributes(), *self._blobs()]
        driver = self._tsm.driver
        if path == _REGISTERS and driver and driver.registers:
            return list(driver.registers)
        below = [folder[len(path)] for folder in self._folders() if folder[: len(path)] == path != folder]
        files = [file[-1] for file in self._fixed_files() if file[:-1] == path]
        return list(dict.fromkeys((*below, *files)))

    def _request_node(self, path: TreePath) -> Node | None:
        request = self._tsm.requests.get(path[2])
        if request is None or len(path) > 4:
            return None
        if len(path) == 3:
            return Node(kind="folder", mode=stat.S_IFDIR | 0o755, request=request)
        if (mode := self._attributes().get(path[3])) is not None:
            return Node(kind="attribute", mode=stat.S_IFREG | mode, size=_PAGE, request=request)
        if (mode := self._blobs().get(path[3])) is not None:
            return Node(kind="blob", mode=stat.S_IFREG | mode, request=request)
        return None

    def _fixed_node(self, path: TreePath) -> Node | None:
        if path[:2] == _REGISTERS and len(path) == 3:
            return self._register_node(path[2])
        if path in self._fixed_files():
            return self._fixed_files()[path]
        if any(folder[: len(path)] == path for folder in self._folders()):
            return Node(kind="folder", mode=stat.S_IFDIR | 0o755)
        return None

    def _register_node(self, name: str) -> Node | None:
        registers = self._tsm.driver.registers if self._tsm.driver else None
        if registers is None or name not in registers:
            return None
        mode = 0o644 if name in registers.extendable else 0o444
        return Node(kind="register", mode=stat.S_IFREG | mode, size=len(registers[name]))

    def _fixed_files(self) -> Mapping[TreePath, Node]:
        files = {_FAULTS: Node(kind="faults", mode=stat.S_IFREG | 0o200)}
        if self._tsm.driver and (log := self._tsm.driver.event_log):
            files[_EVENT_LOG] = Node(kind="event log", mode=stat.S_IFREG | 0o400, size=len(log))
        return files

    def _folders(self) -> Sequence[TreePath]:
        driver = self._tsm.driver
        registers = [_REGISTERS] if driver and driver.registers else []
        return [REPORT, *registers, *[file[:-1] for file in self._fixed_files()]]

    def _has_levels(self) -> bool:
        return self._tsm.driver is not None and self._tsm.driver.privlevel_floor is not None

    def _attributes(self) -> Mapping[str, int]:
        return {**_ATTRIBUTES, **_LEVELS} if self._has_levels() else _ATTRIBUTES

    def _blobs(self) -> Mapping[str, int]:
        return {**_BLOBS, "auxblob": 0o444} if self._has_levels() else _BLOBS
