"""From what people have to a manifest in which every image is verified, labelled and has a side."""

from pathlib import Path

from radpath.data.inputs import DataSettings
from radpath.data.labels import attach_labels
from radpath.data.manifest import Manifest
from radpath.data.scan import scan
from radpath.data.split import Split, SplitSettings, split_by_case
from radpath.data.verify import verify


def gather(data: DataSettings) -> Manifest:
    """Scan, label and verify all images.

    Raises:
        DataError: the images or the labels are missing, unreadable, or do not fit together.
    """
    return verify(attach_labels(scan(data), data), data)


def gather_split(data: DataSettings, split: SplitSettings) -> Split:
    """Scan, label, verify and split all images.

    Raises:
        DataError: as ``gather``, or a class has too few cases.
        LeakError: a case or an identical image stands on two sides.
    """
    return split_by_case(gather(data), split)


def run_name(images: Path) -> str:
    """Return the name that a run on these images gets unless another is given.

    >>> run_name(Path("data/breastmnist.npz"))
    'breastmnist'
    """
    return images.resolve().stem if images.suffix == ".npz" else images.resolve().name
