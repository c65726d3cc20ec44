"""Verifies signatures of webhook deliveries by provider presets, and signs our own calls.

Not here: what becomes of a delivery (scheduler/intake/webhooks).
"""

from scheduler.domain.signatures.config import SchemeName, SignatureConfig, verify, verify_signature_line
from scheduler.domain.signatures.model import SignedRequest, Verdict
from scheduler.domain.signatures.standard_webhooks import new_standard_secret, sign_standard_webhooks

__all__ = [
    "SchemeName",
    "SignatureConfig",
    "SignedRequest",
    "Verdict",
    "new_standard_secret",
    "sign_standard_webhooks",
    "verify",
    "verify_signature_line",
]
