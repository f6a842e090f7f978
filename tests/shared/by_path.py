"""Modules that are files: the tools, and other tests."""
import importlib.util
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def module_at(path):
    """The module that a file makes, anew with each call."""
    spec = importlib.util.spec_from_file_location(
        f'{path.parent.name}_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_tool(name):
    """The module of ``tools/NAME.py``."""
    return module_at(TOOLS / f'{name}.py')
