"""usage: train.py CONFIG [options of the host's train.py]

Trains a config, given by path or by name, with the script of its own host.

    python tools/train.py td-hm_flattenet-res18_quick_synthetic-128x96 --resume

Of an installed wheel, `mim train mmdense NAME.py` runs this file.
"""
import json
import sys

from mmdense.engine.data_check import config_faults
from mmdense.networks import load_config
from mmdense.networks.host_scripts import run_host_script


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        return run_host_script('train', argv, __doc__)
    except json.JSONDecodeError:
        # The hosts' own error does not say which file.
        name = next(word for word in argv if word[:1] != '-')
        config = load_config(name)
        for loader in ('train_dataloader', 'val_dataloader'):
            if config.get(loader):
                for fault in config_faults(config, loader):
                    print(f'error: {" ".join(fault.split())}',
                          file=sys.stderr)
                    return 2
        raise


if __name__ == '__main__':
    sys.exit(main())
