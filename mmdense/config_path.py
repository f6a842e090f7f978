"""Paths of the configs that come with mmdense."""
import difflib
from pathlib import Path

__all__ = ['config_path']

_PACKAGE = Path(__file__).resolve().parent


def config_path(name: str) -> Path:
    """Find a config of mmdense by its file name, from anywhere.

    Args:
        name (str): Name of the file, with or without ``.py`` and folders:
            ``'td-hm_flattenet-res50_1xb32-140e_mpii-256x256'``.

    Returns:
        Path: The file. In an installed wheel it lies in the package's
        ``.mim`` folder, in a checkout in ``configs/``.

    Raises:
        FileNotFoundError: If no config has that name. The message lists
            similar names.
    """
    roots = [_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs']
    files = [
        path for root in roots if root.is_dir()
        for path in sorted(root.rglob('*.py'))
    ]
    wanted = Path(name).stem if name.endswith('.py') else Path(name).name
    for path in files:
        if path.stem == wanted:
            return path
    near = difflib.get_close_matches(wanted, [p.stem for p in files], n=3)
    hint = f'; the nearest are {", ".join(near)}' if near else ''
    raise FileNotFoundError(
        f'mmdense has no config named {wanted!r} (looked in '
        f'{", ".join(map(str, roots))}){hint}')
