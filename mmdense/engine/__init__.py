"""Hooks and parameter schedulers: mmengine only."""
