"""Which metadata leaves with a protected photo: one place to import the filters from.

EXIF, XMP and Photoshop/IPTC appear in every container (JPEG segments, PNG chunks, RIFF chunks,
TIFF tags); each filter takes the bare block, whatever it lay in. Every filter always removes
embedded pictures, because those are unprotected copies; the policy adds what its owner asked for.
"""

from __future__ import annotations

from ue_cli.metadata.embedded import MetadataPolicy, Removed
from ue_cli.metadata.exif import filter_exif, orientation
from ue_cli.metadata.photoshop import filter_iptc, filter_photoshop
from ue_cli.metadata.xmp import add_opt_out, filter_xmp

__all__ = [
    "MetadataPolicy",
    "Removed",
    "add_opt_out",
    "filter_exif",
    "filter_iptc",
    "filter_photoshop",
    "filter_xmp",
    "orientation",
]
