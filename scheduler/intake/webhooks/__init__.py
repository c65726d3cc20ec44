"""Webhooks: deliveries, samples and redeliveries become firings, many in one commit.

Not here: signature schemes (scheduler/domain/signatures).
"""
