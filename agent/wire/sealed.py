"""Words of sealed values in documents: how a secret is marked, how its sealed form looks. No cryptography here.

A sealed value is base64 of: ephemeral P-256 point, uncompressed (65 bytes); nonce (12); AES-256-GCM text and tag. The
key is HKDF-SHA256 of the ECDH secret with the point as salt and ``INFO``; the cluster id is the associated data.
"""

SECRET = "$secret"  # noqa: S105 (the mark, not a secret)
SEALED = "$sealed"
INFO = b"runai-link-seal-1"
POINT_BYTES = 65
NONCE_BYTES = 12
