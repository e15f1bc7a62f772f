"""Offline tables: published versions of them, the point-in-time join over them, and each key's latest row."""
