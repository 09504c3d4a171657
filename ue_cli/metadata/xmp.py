"""XMP packets, edited surgically: what is not removed or added keeps its bytes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

from ue_cli.metadata.embedded import MetadataPolicy, Removed, has_picture

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
PROHIBITED = "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"

# Whole vocabularies that hold pictures, or describe ones that are no longer in the file.
_PICTURE_VOCABULARIES = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": "XMP gain map",
    "http://ns.apple.com/HDRGainMap/1.0/": "XMP gain map",
    "http://ns.apple.com/pixeldatainfo/1.0/": "XMP gain map",
    "http://ns.apple.com/depthData/1.0/": "XMP depth map",
    "http://ns.google.com/photos/1.0/depthmap/": "XMP depth map",
    "http://ns.google.com/photos/1.0/image/": "XMP picture",
    "http://ns.google.com/photos/1.0/audio/": "XMP sound",
    "http://ns.google.com/photos/1.0/container/": "XMP directory of pictures",
    "http://ns.google.com/photos/1.0/container/item/": "XMP directory of pictures",
    "http://ns.adobe.com/xap/1.0/g/img/": "XMP thumbnail",
}
_DYNAMIC_DEPTH = "http://ns.google.com/photos/dd/1.0/"
_PICTURE_PROPERTIES = {
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"): "XMP thumbnail",
    ("http://ns.adobe.com/xap/1.0/", "PageInfo"): "XMP thumbnail",
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"): "pointer to extended XMP",
}
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_GEO_VOCABULARY = "http://www.w3.org/2003/01/geo/wgs84_pos#"
_GEO_NAMES = ("latitude", "longitude", "longtitude")  # as drones spell it

_START_TAG = re.compile(rb"<[^\s/>]+(?:\s+[^\s=>]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?>")
_ATTRIBUTE = re.compile(rb"\s+([^\s=>]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+=*")
_BASE64_BYTES = re.compile(rb"[A-Za-z0-9+/\s_-]{256}")
# Nobody writes 4,096 characters of Base64 that hold no picture, sound or table of one.
_OPAQUE_BASE64 = 4096
_SHORTEST_LINE = 32

_Doom = Callable[[str, str], str]


class _Unreadable(Exception):
    """Not well-formed, or with a DTD, which XMP has no use for and attackers have."""


@dataclass
class _Cut:
    what: str
    start: int
    end: int


@dataclass
class _Open:
    start: int
    tag_end: int
    doomed: str
    empty: bool
    text: list[str] = field(default_factory=list)
    leaf: bool = True


class _Reader:
    """One pass over a packet: which byte ranges to cut, and where rdf:RDF ends."""

    def __init__(self, packet: bytes, doom: _Doom, *, judge_values: bool) -> None:
        self.packet = packet
        self.doom = doom
        self.judge_values = judge_values
        self.cuts: list[_Cut] = []
        self.rdf: tuple[int, int] | None = None  # span of rdf:RDF's end tag
        self._stack: list[_Open] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.ordered_attributes = True
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse
        try:
            self._parser.Parse(packet, True)
        except (expat.ExpatError, ValueError) as error:
            raise _Unreadable(str(error)) from None

    def _refuse(self, *_: object) -> None:
        raise _Unreadable("a document type")

    def _open(self, name: str, attributes: list[str]) -> None:
        start = self._parser.CurrentByteIndex
        match = _START_TAG.match(self.packet, start)
        if match is None:
            raise _Unreadable("a tag that cannot be found again")
        if self._stack:
            self._stack[-1].leaf = False
        inherited = any(element.doomed for element in self._stack)
        doomed = self.doom(*_split(name))
        element = _Open(start, match.end(), doomed, match.group().endswith(b"/>"))
        self._stack.append(element)
        if doomed and not inherited:
            return  # the cut follows when its end is known
        if not inherited:
            spans = [
                attribute.span()
                for attribute in _ATTRIBUTE.finditer(match.group())
                if attribute[1] != b"xmlns" and not attribute[1].startswith(b"xmlns:")
            ]
            for key, value, span in zip(attributes[::2], attributes[1::2], spans, strict=True):
                what = self.doom(*_split(key)) or self._judge(value)
                if what:
                    self.cuts.append(_Cut(what, start + span[0], start + span[1]))

    def _text(self, text: str) -> None:
        if self._stack:
            self._stack[-1].text.append(text)

    def _close(self, name: str) -> None:
        element = self._stack.pop()
        at = self._parser.CurrentByteIndex
        end = element.tag_end if element.empty else self.packet.index(b">", at) + 1
        if name == f"{RDF} RDF" and self.rdf is None:
            self.rdf = (element.start if element.empty else at, end)
        what = element.doomed
        if not what and element.leaf:
            what = self._judge("".join(element.text))
        if what and not any(outer.doomed for outer in self._stack):
            self.cuts.append(_Cut(what, element.start, end))

    def _judge(self, value: str) -> str:
        return "picture in XMP" if self.judge_values and _is_picture(value) else ""

    def cut(self) -> tuple[bytes, list[Removed]]:
        """The packet without its cuts, and what they were."""
        pieces: list[bytes] = []
        sizes: dict[str, list[bytes]] = {}
        at = 0
        for cut in sorted(self.cuts, key=lambda c: c.start):
            if cut.start < at:
                continue  # inside the one before
            pieces.append(self.packet[at : cut.start])
            sizes.setdefault(cut.what, []).append(self.packet[cut.start : cut.end])
            at = cut.end
        pieces.append(self.packet[at:])
        return b"".join(pieces), [Removed.of(what, b"".join(d)) for what, d in sizes.items()]


def filter_xmp(xmp: bytes, policy: MetadataPolicy) -> tuple[bytes | None, list[Removed]]:
    """Take embedded pictures, and what ``policy`` names, out of an XMP packet.

    Args:
        xmp: the packet, in any encoding of Unicode, however broken.
        policy: under ``strip_all`` nothing remains.

    Returns:
        The packet with every other byte as it was (in UTF-8, where it was in another encoding and
        something was removed), or None where nothing is left; and what was removed. What cannot
        be parsed stays, unless it holds a long Base64 run or, under ``strip_gps``, anything.
    """
    if policy.strip_all:
        return None, [Removed.of("XMP", xmp)]
    packet = _utf8(xmp)
    try:
        remainder, removed = _Reader(packet, _doom_for(policy), judge_values=True).cut()
    except _Unreadable:
        if policy.strip_gps or _BASE64_BYTES.search(packet) or has_picture(xmp):
            return None, [Removed.of("unreadable XMP", xmp)]
        return xmp, []
    if has_picture(remainder):
        return None, [Removed.of("XMP with a picture in it", xmp)]
    return (remainder if removed else xmp), removed


def add_opt_out(xmp: bytes | None) -> bytes:
    """State in XMP that AI training on the picture is prohibited (IPTC Photo Metadata 2023.1).

    The property is ``plus:DataMining`` of the PLUS vocabulary; any earlier value of it goes.

    Args:
        xmp: the packet that the file has, if any; one that cannot be parsed is replaced.
    """
    if xmp is not None:
        packet = _utf8(xmp)
        try:
            packet, _ = _Reader(packet, _doom_data_mining, judge_values=False).cut()
            return _insert(packet, _Reader(packet, lambda *_: "", judge_values=False).rdf)
        except _Unreadable:
            pass
    empty = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()
    head = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode()
    packet = head + empty + b'<?xpacket end="w"?>'
    return _insert(packet, _Reader(packet, lambda *_: "", judge_values=False).rdf)


def _insert(packet: bytes, rdf: tuple[int, int] | None) -> bytes:
    if rdf is None:
        raise _Unreadable("no rdf:RDF")
    start, end = rdf
    node = (
        f'<rdf:Description xmlns:rdf="{RDF}" rdf:about="" xmlns:plus="{PLUS}">'
        f"<plus:DataMining>{PROHIBITED}</plus:DataMining></rdf:Description>"
    ).encode()
    tag = packet[start:end]
    if tag.startswith(b"</"):
        return packet[:start] + node + packet[start:]
    name = re.match(rb"<([^\s/>]+)", tag)
    if name is None:
        raise _Unreadable("an rdf:RDF that cannot be found again")
    opened = tag[:-2].rstrip() + b">"
    return packet[:start] + opened + node + b"</" + name[1] + b">" + packet[end:]


def _doom_data_mining(uri: str, name: str) -> str:
    return "opt-out" if (uri, name) == (PLUS, "DataMining") else ""


def _doom_for(policy: MetadataPolicy) -> _Doom:
    def doom(uri: str, name: str) -> str:
        if uri in _PICTURE_VOCABULARIES:
            return _PICTURE_VOCABULARIES[uri]
        if uri.startswith(_DYNAMIC_DEPTH):
            return "XMP depth map"
        if uri == _CAMERA and name.startswith(("MicroVideo", "MotionPhoto")):
            return "XMP motion-photo pointer"
        lower = name.lower()
        if policy.strip_gps and (
            uri == _GEO_VOCABULARY or "gps" in lower or lower.endswith(_GEO_NAMES)
        ):
            return "GPS position in XMP"
        return _PICTURE_PROPERTIES.get((uri, name), "")

    return doom


def _split(name: str) -> tuple[str, str]:
    uri, _, local = name.rpartition(" ")
    return uri, local


def _is_picture(value: str) -> bool:
    """True where a value is Base64 of a picture, or too long a Base64 to be anything else."""
    if len(value) < 64:
        return False
    lines = value.split()
    value = "".join(lines)
    if len(value) < _SHORTEST_LINE * len(lines):
        return False  # words, not wrapped Base64
    if value[:5].lower() == "data:":
        return "image" in value[:32].lower() or len(value) >= _OPAQUE_BASE64
    if not _BASE64.fullmatch(value):
        return False
    if len(value) >= _OPAQUE_BASE64:
        return True
    try:
        plain = value.rstrip("=").translate(str.maketrans("-_", "+/"))
        return has_picture(base64.b64decode(plain + "=" * (-len(plain) % 4)))
    except (binascii.Error, ValueError):
        return False


def _utf8(xmp: bytes) -> bytes:
    """The packet in UTF-8, without the zero bytes that some writers pad it with."""
    head = xmp[:4]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16"
    elif len(head) == 4 and head[0] == 0 and head[1] != 0:
        codec = "utf-16-be"
    elif len(head) == 4 and head[1] == 0 and head[0] != 0:
        codec = "utf-16-le"
    else:
        return xmp.strip(b"\0")
    try:
        return xmp.decode(codec).strip("\0").encode()
    except UnicodeError:
        return xmp
