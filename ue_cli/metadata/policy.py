"""The metadata policy, applied to what travels with an image that is encoded anew."""

from __future__ import annotations

from dataclasses import replace

from ue_cli.metadata import add_opt_out, filter_exif, filter_xmp
from ue_cli.metadata.embedded import MetadataPolicy, Removed
from ue_cli.metadata.info import Info
from ue_cli.metadata.photoshop import filter_iptc, filter_photoshop


def filter_info(info: Info, policy: MetadataPolicy) -> tuple[Info, tuple[Removed, ...]]:
    """Take embedded pictures, and what ``policy`` names, out of an image's metadata.

    Returns:
        The metadata to write, and what was removed from it.
    """
    removed: list[Removed] = []
    exif, xmp, photoshop, iptc = info.exif, info.xmp, info.photoshop, info.iptc
    if exif:
        remainder, gone = filter_exif(exif, policy)
        exif, removed = remainder or b"", removed + gone
    if xmp:
        remainder, gone = filter_xmp(xmp, policy)
        xmp, removed = remainder or b"", removed + gone
    if photoshop:
        photoshop, gone = filter_photoshop(photoshop, policy)
        removed += gone
    if iptc:
        iptc, gone = filter_iptc(iptc)
        removed += gone
    # ImageMagick keeps whole EXIF, IPTC and Photoshop blocks, thumbnails included, in PNG text.
    text = tuple((key, value) for key, value in info.text if not key.startswith("Raw profile type"))
    removed += [
        Removed.of(f"PNG text {key}", value.encode())
        for key, value in info.text
        if (key, value) not in text
    ]
    if policy.strip_all:
        removed += [
            Removed.of(what, data)
            for what, data in (
                ("Photoshop data", photoshop),
                ("IPTC data", iptc),
                ("PNG text", "\n".join(f"{key}: {value}" for key, value in text).encode()),
            )
            if data
        ]
        photoshop, iptc, text = b"", b"", ()
    if policy.opt_out:
        xmp = add_opt_out(xmp or None)
    filtered = replace(info, exif=exif, xmp=xmp, photoshop=photoshop, iptc=iptc, text=text)
    return filtered, tuple(removed)
