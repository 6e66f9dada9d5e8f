"""An attestation agent of Confidential Containers on a loopback port, with a simulator in the place of its TEE."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support.json_server import JsonServer, json_server

Answer = Callable[[bytes], Any]
"""What the agent says of 64 bytes of runtime data, as JSON."""


@contextmanager
def coco_agent(answer: Answer, *, knows_encoding: bool = True) -> Iterator[JsonServer]:
    """Start an agent that answers with ``answer``; one of before 2025 takes the text itself for the data."""

    def evidence(parameters: Mapping[str, str]) -> Any:
        text = parameters["runtime_data"]
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if knows_encoding else text.encode()
        return answer(data[:64].ljust(64, b"\0"))

    with json_server({"/aa/evidence": evidence}) as server:
        yield server


def tdx_answer(quote: bytes) -> Any:
    """Return the agent's JSON for a TDX quote, in a padded buffer as drivers give it."""
    return {"cc_eventlog": None, "quote": base64.b64encode(quote.ljust(8000, b"\0")).decode()}


def snp_answer(report: bytes, *certificates: tuple[str, bytes], old: bool = False) -> Any:
    """Return the agent's JSON for a raw SNP report, as one of the two generations of the crate spells it."""
    entries = [{"cert_type": kind, "data": list(data)} for kind, data in certificates]
    members = {**_common(report), **(_old(report) if old else _new(report))}
    return json.loads(json.dumps({"attestation_report": members, "cert_chain": entries or None}))


def _common(report: bytes) -> dict[str, Any]:
    def number(at: int, size: int) -> int:
        return int.from_bytes(report[at : at + size], "little")

    def octets(at: int, size: int) -> list[int]:
        return list(report[at : at + size])

    return {
        "version": number(0, 4),
        "guest_svn": number(4, 4),
        "policy": number(8, 8),
        "family_id": octets(0x10, 16),
        "image_id": octets(0x20, 16),
        "vmpl": number(0x30, 4),
        "sig_algo": number(0x34, 4),
        "plat_info": number(0x40, 8),
        "report_data": octets(0x50, 64),
        "measurement": octets(0x90, 48),
        "host_data": octets(0xC0, 32),
        "id_key_digest": octets(0xE0, 48),
        "author_key_digest": octets(0x110, 48),
        "report_id": octets(0x140, 32),
        "report_id_ma": octets(0x160, 32),
        "chip_id": octets(0x1A0, 64),
        "signature": {"r": octets(0x2A0, 72), "s": octets(0x2E8, 72)},
    }


_TCBS = {"current_tcb": 0x38, "reported_tcb": 0x180, "committed_tcb": 0x1E0, "launch_tcb": 0x1F0}


def _old(report: bytes) -> dict[str, Any]:
    tcbs = {}
    for name, at in _TCBS.items():
        bootloader, tee, *reserved, snp, microcode = report[at : at + 8]
        tcbs[name] = {"bootloader": bootloader, "tee": tee, "_reserved": reserved, "snp": snp, "microcode": microcode}
    current, committed = report[0x1E8:0x1EB], report[0x1EC:0x1EF]
    parts = ("build", "minor", "major")
    return {
        **tcbs,
        "_author_key_en": int.from_bytes(report[0x48:0x4C], "little"),
        "_reserved_0": 0,
        **{f"current_{part}": value for part, value in zip(parts, current, strict=True)},
        **{f"committed_{part}": value for part, value in zip(parts, committed, strict=True)},
        "_reserved_4": [0] * 168,
    }


def _new(report: bytes) -> dict[str, Any]:
    turin = report[0x188] == 0x1A
    tcbs = {}
    for name, at in _TCBS.items():
        octets = report[at : at + 8]
        first = (
            {"fmc": octets[0], "bootloader": octets[1], "tee": octets[2], "snp": octets[3]}
            if turin
            else {"fmc": None, "bootloader": octets[0], "tee": octets[1], "snp": octets[6]}
        )
        tcbs[name] = {**first, "microcode": octets[7]}
    versions = {
        name: {"major": report[at + 2], "minor": report[at + 1], "build": report[at]}
        for name, at in (("current", 0x1E8), ("committed", 0x1EC))
    }
    cpuid = dict(zip(("cpuid_fam_id", "cpuid_mod_id", "cpuid_step"), report[0x188:0x18B], strict=True))
    mitigations = {
        name: int.from_bytes(report[at : at + 8], "little") or None
        for name, at in (("launch_mit_vector", 0x1F8), ("current_mit_vector", 0x200))
    }
    return {**tcbs, **versions, **cpuid, **mitigations, "key_info": int.from_bytes(report[0x48:0x4C], "little")}
