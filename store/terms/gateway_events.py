"""Actions of the events that gateways write into the audit trail about themselves."""

from __future__ import annotations

STARTED, STOPPED = "gateway started", "gateway stopped"
ENGINE_DOWN, ENGINE_BACK = "engine down", "engine answers again"
METRICS_NOT_SERVED, METRICS_SERVED = "metrics not served", "metrics served"
BACKUP_UNAVAILABLE, BACKUP_AVAILABLE = "backup unavailable", "backup available"
STORE_OLDER, STORE_IN_USE = "store older", "store in use again"
