"""COCO's annotations of a set that was drawn."""
from collections.abc import Callable


def coco_content(description: str, samples: list[dict],
                 categories: list[dict],
                 more: Callable[[dict], dict] = lambda instance: {}) -> dict:
    """Return the content of a COCO file of instances.

    Args:
        description (str): What ``info`` says.
        samples (list[dict]): ``name``, ``size`` (height, width) and
            ``instances`` of every image. An instance has ``box`` (x, y, w,
            h), ``area``, ``mask`` (run lengths) and, if there are several
            categories, ``label`` from 0.
        categories (list[dict]): The categories; the id of a label is one
            more.
        more (Callable): Takes an instance and returns what else its
            annotation holds.
    """
    images, annotations = [], []
    for sample in samples:
        image = int(sample['name'])
        height, width = sample['size']
        images.append(dict(
            id=image, file_name=f'{sample["name"]}.jpg', height=height,
            width=width))
        for instance in sample['instances']:
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image,
                category_id=instance.get('label', 0) + 1, iscrowd=0,
                bbox=instance['box'], area=instance['area'],
                segmentation=instance['mask'], **more(instance)))
    return dict(
        info=dict(description=description), licenses=[], images=images,
        annotations=annotations, categories=categories)
