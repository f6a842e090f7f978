"""Files that are whole or not there, whenever the process is killed."""
import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


class WholeFileBackend(LocalBackend):
    """The local disk, as ``CheckpointHook`` should write on it.

    mmengine writes a checkpoint under its final name: killed meanwhile it
    leaves half a file, over a good one where the same epoch is saved again
    (after a new best score). And it removes an old checkpoint before the one
    that takes its place is there: with ``max_keep_ckpts=1`` nothing is left
    to resume from.

    Here a file is written beside its place, as ``NAME.part``, brought to the
    disk and then put in place in one step, and what was to be removed goes
    after that.
    """

    name = 'mmdense_whole_files'
    # Shared: mmengine removes through one instance and writes through others.
    _outdated: set[str] = set()

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file in one step.

        Args:
            obj (bytes): What to write.
            filepath (str | Path): Where; folders are made.
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
        """Remove a file as soon as the next one is written.

        Args:
            filepath (str | Path): What to remove.
        """
        self._outdated.add(str(filepath))


register_backend(WholeFileBackend.name, WholeFileBackend, force=True)
