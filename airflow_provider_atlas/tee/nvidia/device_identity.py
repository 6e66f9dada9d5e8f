"""The root of NVIDIA's device keys: the certificate ``NVIDIA Device Identity CA``, valid from 2021 without end.

It is pinned here, so that no file, server or variable can put another in its place.
See: https://github.com/NVIDIA/nvtrust, ``local_gpu_verifier/src/verifier/certs/verifier_device_root.pem``.
"""

NVIDIA_ROOT_SHA256 = "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48"
"""SHA-256 of the certificate (DER), in lower-case hex."""
