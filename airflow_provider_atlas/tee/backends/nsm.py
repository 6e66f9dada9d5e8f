"""The attester ``nitro:``: documents of the enclave that this process runs in, from its Nitro Security Module.

See: Linux, ``drivers/misc/nsm.c`` and ``include/uapi/linux/nsm.h``, and before Linux 6.8 the driver of Amazon's images.
"""

import ctypes
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from airflow_provider_atlas.errors import AttesterError, ConfigError, MalformedError
from airflow_provider_atlas.tee.evidence import NITRO_DOCUMENT, Evidence
from airflow_provider_atlas.tee.nitro.nsm import MAX_RESPONSE_BYTES, attestation_document, attestation_request

Exchange = Callable[[bytes], bytes]
"""Gives the module a request and returns its response, both CBOR. Raises AttesterError when there is none."""

_DEVICE = "/dev/nsm"


class _Iovec(ctypes.Structure):
    _fields_ = (("address", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _Message(ctypes.Structure):
    _fields_ = (("request", _Iovec), ("response", _Iovec))


NSM_IOCTL = 3 << 30 | ctypes.sizeof(_Message) << 16 | 0x0A << 8 | 0
"""``_IOWR(0x0A, 0, struct nsm_message)``: 0xC0200A00."""


class NitroAttester:
    """An ``Attester`` inside an AWS Nitro enclave."""

    def __init__(self, text: str, exchange: Exchange | None = None) -> None:
        """Ask the module by ``exchange``, or at its device; ``text``, what follows the scheme, must be empty.

        Raises ConfigError for another setting, AttesterError when there is no such device.
        """
        if text:
            raise ConfigError(f"expected nothing after nitro:, not {text!r}")
        self._exchange = exchange or _device()

    def attest(self, report_data: bytes) -> Evidence:
        """Return a document whose user data is ``report_data``.

        Raises AttesterError unless ``report_data`` has 64 bytes, and when the module gives none.
        """
        if len(report_data) != 64:
            raise AttesterError(f"expected 64 bytes of report data, not {len(report_data)}")
        try:
            document = attestation_document(self._exchange(attestation_request(report_data)))
        except MalformedError as error:
            raise AttesterError(f"cannot read what the Nitro Security Module gave: {error}") from error
        return Evidence(tee="nitro", provider="nitro", media_type=NITRO_DOCUMENT, quote=document)


def _device() -> Exchange:
    if not Path(_DEVICE).exists():
        raise AttesterError(f"no {_DEVICE}: attester = nitro: is for what runs inside a Nitro enclave")
    return ask_device


def ask_device(request: bytes, path: str = _DEVICE) -> bytes:
    """Return what the module at the device ``path`` answers ``request`` with. Raises AttesterError when it does not."""
    asked = ctypes.create_string_buffer(request, len(request))
    answered = ctypes.create_string_buffer(MAX_RESPONSE_BYTES)
    message = _Message(
        request=_Iovec(ctypes.addressof(asked), len(request)),
        response=_Iovec(ctypes.addressof(answered), MAX_RESPONSE_BYTES),
    )
    try:
        device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, NSM_IOCTL, message)
        finally:
            os.close(device)
    except OSError as error:
        raise AttesterError(f"cannot ask the Nitro Security Module at {path}: {error.strerror}") from error
    return answered.raw[: message.response.length]
