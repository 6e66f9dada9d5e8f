"""The root of Intel's attestation keys: the certificate ``Intel SGX Root CA``, valid from 2018 to 2049.

It is pinned here, so that no file, server or variable can put another in its place.
See: https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer
"""

INTEL_ROOT_SHA256 = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
"""SHA-256 of the certificate (DER), in lower-case hex."""
