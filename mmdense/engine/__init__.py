"""Hooks, parameter schedulers and checkpoint compatibility: mmengine only."""
