"""Draw what a trained network predicts for an image, a folder or a video.

    python tools/predict.py CONFIG CHECKPOINT person.jpg --out drawn
    python tools/predict.py CONFIG CHECKPOINT images/ --out drawn
    python tools/predict.py CONFIG CHECKPOINT street.mp4 --out drawn

The same as `python -m mmdense predict`. Draws skeletons, masks or boxes with
the visualizer of the host, and writes predictions.json: pixels, scores, and
masks as COCO run lengths.
"""
import sys

from mmdense.predicting import main

if __name__ == '__main__':
    sys.exit(main())
