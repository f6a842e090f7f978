"""Files that are complete or absent, even if the process is killed."""
import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


class WholeFileBackend(LocalBackend):
    """A file backend that writes each checkpoint in one step.

    mmengine writes a checkpoint under its final name. If the process is killed
    meanwhile, half a file is left, maybe in place of a good one (a new best
    score saves the same epoch again). mmengine also removes the old checkpoint
    before the new one exists: with ``max_keep_ckpts=1`` nothing is left to
    resume from.

    This backend writes to ``NAME.part``, flushes it to the disk and renames it
    in one step. Files to remove are removed after that.
    """

    name = 'mmdense_whole_files'
    # Shared: mmengine removes through one instance and writes through others.
    _outdated: set[str] = set()

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file in one step.

        Args:
            obj (bytes): The content.
            filepath (str | Path): Path of the file; its folders are created.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + '.part')
        with open(part, 'wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        self._outdated.discard(str(path))
        while self._outdated:
            Path(self._outdated.pop()).unlink(missing_ok=True)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file when the next one has been written.

        Args:
            filepath (str | Path): File to remove.
        """
        self._outdated.add(str(filepath))


register_backend(WholeFileBackend.name, WholeFileBackend, force=True)
