"""Real evidence with what is known of it: the repository's own, and a larger collection where one is at hand.

``ATLAS_TEE_VECTORS`` names the folder of such a collection: one folder for each source, a ``MANIFEST.md`` whose tables
say what each file is and what is expected of it, and ``collateral`` put together for some of them.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

OWN = Path(__file__).parents[1] / "vectors" / "tee"
COLLECTION = Path(os.environ["ATLAS_TEE_VECTORS"]) if "ATLAS_TEE_VECTORS" in os.environ else None

_ROW = re.compile(r"^\| (\S+) \| (\S+) \| ([^|]*) \| ([^|]*) \| \d+ \| [0-9a-f]{16} \|$", re.MULTILINE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A file of evidence: what vouches for it, when, the exit code without a policy, and the code of what fails."""

    name: str
    path: Path
    collateral: Sequence[Path]
    at: str
    exit_code: int
    code: str = "ok"
    tee: str = "tdx"

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()


def own() -> Sequence[Vector]:
    """The repository's own."""

    def tdx(name: str, collateral: str, at: str, exit_code: int, code: str = "ok") -> Vector:
        paths = [OWN / f"{collateral}.collateral.json"]
        return Vector(name=name, path=OWN / f"{name}.quote", collateral=paths, at=at, exit_code=exit_code, code=code)

    return [
        tdx("tdx_v4_padded", "tdx_v4_padded", "2025-06-19T10:32:28Z", 0),
        tdx("tdx_v5", "tdx_v5", "2026-02-18T10:58:52Z", 0),
        tdx("tdx_v5_extended", "tdx_v5_extended", "2026-10-08T00:30:00Z", 0),
        tdx("tdx_v4_out_of_date", "tdx_v4_out_of_date", "2025-02-13T09:00:00Z", 1, "tcb-status-not-listed"),
        tdx("tdx_v5_no_tcb_level", "tdx_v5", "2026-02-18T10:58:52Z", 1, "tcb-not-supported"),
        tdx("tdx_v5", "tdx_v5", "2027-01-01T00:00:00Z", 1, "expired"),
        tdx("tdx_v4_out_of_date", "tdx_v4_padded", "2025-06-19T10:32:28Z", 1, "collateral-of-another-platform"),
    ]


def collected() -> Sequence[Vector]:
    """All files of the collection that its manifest gives an expectation for, and that are evidence."""
    return list(_collected(COLLECTION)) if COLLECTION is not None else []


def _collected(folder: Path) -> Iterator[Vector]:
    for name, _, what, expected in _ROW.findall((folder / "MANIFEST.md").read_text("utf-8")):
        path = next(iter(folder.glob(f"*/{name}")), None)
        if path is None or not expected.strip() or "collateral" in name or not what.startswith(("TDX", "SGX", "SNP")):
            continue
        if what.startswith("SGX"):
            yield Vector(name=name, path=path, collateral=[], at="2025-06-20T00:00:00Z", exit_code=1, code="malformed")
        elif what.startswith("SNP"):
            yield _snp(name, path, expected)
        else:
            yield _tdx(folder, name, path, expected)


def _tdx(folder: Path, name: str, path: Path, expected: str) -> Vector:
    collateral = _collateral(folder, name)
    moments = _MOMENT.findall(expected)
    at = _after(moments[0]) if moments else _FALLBACK.get(name, "2025-06-19T10:32:28Z")
    if "SPR_E4" in name:  # bytes that no signature covers follow this quote, and that is refused before all else
        return Vector(name=name, path=path, collateral=[collateral], at=at, exit_code=1, code="malformed")
    refused = {"NEGATIVE": (1, "tcb-not-supported"), "OutOfDate": (1, "tcb-status-not-listed")}
    exit_code, code = next((value for word, value in refused.items() if word in expected), (0, "ok"))
    return Vector(name=name, path=path, collateral=[collateral], at=at, exit_code=exit_code, code=code)


_FALLBACK = {
    "tdx_quote_outdated": "2026-02-18T10:58:52Z",
    "tdx_prod_quote_SPR_E4.dat": "2023-06-20T00:00:00Z",
}
_BESIDE = {
    "quote-from-tappd.hex": "tdx_quote_collateral.json",  # of the same FMSPC
    "tdx-quote.hex": "tdx_quote_collateral.json",
    "near_quote_hex.txt": "near_quote_collateral.json",
}
_BY_DIGEST = {
    "quote_v5_sample.dat": "*cf77a6e9*",
    "cos-113-tdx-quote.dat": "*54334c81*",
    "quote_tdx_00806f050000.dat": "*d7dbcb12*",
    "tdx_prod_quote_SPR_E4.dat": "*6dde5548*",
}


def _collateral(folder: Path, name: str) -> Path:
    if name in _BY_DIGEST:
        return next((folder / "collateral").glob(_BY_DIGEST[name]))
    beside = _BESIDE.get(name, f"{name}_collateral.json")
    return next(folder.glob(f"*/{beside}"))


def _snp(name: str, path: Path, expected: str) -> Vector:
    leaf = {"attestation.bin": "vcek.testcer", "report_milan.hex": "vcek_milan.der"}[name]
    chain = {"attestation.bin": "ask_ark_milan.pem", "report_milan.hex": "cert_chain_milan"}[name]
    refused = (1, "debug") if "NEGATIVE: debug" in expected else (0, "ok")
    return Vector(
        name=name,
        path=path,
        collateral=[path.parent / leaf, path.parent / chain],
        at="2023-06-01T00:00:00Z",
        exit_code=refused[0],
        code=refused[1],
        tee="sev-snp",
    )


def _after(moment: str) -> str:
    later = datetime.fromisoformat(moment) + timedelta(seconds=1)
    return later.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
