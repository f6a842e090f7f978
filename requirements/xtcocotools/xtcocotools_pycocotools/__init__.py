"""What mmpose takes from xtcocotools, by pycocotools."""
__version__ = '0.1.0'
# `xtcocotools.STAND_IN`: there only where this package answers.
STAND_IN = f'xtcocotools-pycocotools {__version__}'
