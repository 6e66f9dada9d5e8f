"""The roots of AMD's attestation keys (ARK), one for each product line. They are RSA-4096 and sign themselves.

They are pinned here, so that no file, server or variable can put another in their place. It is the key that is
pinned, as AMD's own tools do: what its certificate says besides is under its own signature.
See: https://kdsintf.amd.com/vcek/v1/Milan/cert_chain, and the same of Genoa and Turin.
"""

from collections.abc import Mapping

from airflow_provider_atlas.tee.sev_snp.tcb import Product

AMD_ROOT_KEYS: Mapping[str, Product] = {
    "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9": "Milan",
    "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831": "Genoa",
    "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08": "Turin",
}
"""SHA-256 of the root key's SubjectPublicKeyInfo (DER), in lower-case hex, and the products it is for."""
