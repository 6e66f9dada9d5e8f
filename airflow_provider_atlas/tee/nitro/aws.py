"""The root of AWS's attestation keys: the certificate ``aws.nitro-enclaves``, valid from 2019 to 2049.

It is pinned here, so that no file, server or variable can put another in its place.
See: https://docs.aws.amazon.com/enclaves/latest/user/verify-root.html.
"""

AWS_NITRO_ROOT_SHA256 = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
"""SHA-256 of the certificate (DER), in lower-case hex."""
