"""The operator's process: kopf's events, the queue's workers, the report endpoint, health."""
