"""Webhooks: turns deliveries, samples and redeliveries into firings, many in one commit.

Not here: signature schemes (scheduler/domain/signatures).
"""
