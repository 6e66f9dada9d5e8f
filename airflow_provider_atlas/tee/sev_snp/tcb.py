"""AMD's product lines, and how each lays out a TCB_VERSION: eight security version numbers of one byte each.

::

    Milan, Genoa    bl tee spl4 spl5 spl6 spl7 snp ucode
    Turin           fmc bl tee snp spl5 spl6 spl7 ucode

``bl`` is the boot loader's, ``tee`` the secure processor's operating system's, ``snp`` the SNP firmware's, ``ucode``
the microcode's and ``fmc`` the first mutable code's; those named ``spl`` are reserved.
See: SEV-SNP Firmware ABI Specification (AMD 56860), TCB_VERSION; VCEK Certificate and KDS Interface Specification
(AMD 57230).
"""

from collections.abc import Mapping
from typing import Literal

Product = Literal["Milan", "Genoa", "Turin"]
"""A line of EPYC processors under one root key of AMD's. Bergamo and Siena are of the line Genoa."""

PRODUCTS: tuple[Product, ...] = ("Milan", "Genoa", "Turin")
"""All of them."""

_ZEN_3_4 = ("bl", "tee", "spl4", "spl5", "spl6", "spl7", "snp", "ucode")
_ZEN_5 = ("fmc", "bl", "tee", "snp", "spl5", "spl6", "spl7", "ucode")
_LAYOUT: Mapping[Product, tuple[str, ...]] = {"Milan": _ZEN_3_4, "Genoa": _ZEN_3_4, "Turin": _ZEN_5}


def layout(product: Product) -> tuple[str, ...]:
    """Return the names of a TCB_VERSION's eight bytes, in their order."""
    return _LAYOUT[product]


def components(tcb: bytes, product: Product) -> Mapping[str, int]:
    """Return the version numbers in ``tcb`` (8 bytes) by name, without the reserved ones."""
    return {name: svn for name, svn in zip(layout(product), tcb, strict=True) if not name.startswith("spl")}


def product_of_cpuid(family: int, model: int) -> Product | None:
    """Return the line of the processor with this CPUID family and model, None for one that is none of them."""
    if family == 0x19 and model <= 0x0F:
        return "Milan"
    if family == 0x19 and (0x10 <= model <= 0x1F or 0xA0 <= model <= 0xAF):
        return "Genoa"
    return "Turin" if family == 0x1A and model <= 0x11 else None
