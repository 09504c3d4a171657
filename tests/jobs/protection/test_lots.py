"""Which class carries which texture: drawn by lot from the key, and committed to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tests.jobs.conftest import Quiet, Ue, tree
from ue_cli.owner.key import OwnerKey, Subkey, load_key, texture_secret
from ue_cli.owner.manifest import MANIFEST_FILE, Manifest, read_manifest
from ue_cli.protection.making import assignment, make_codes
from ue_cli.textures.presets import PHOTOS

NAMES = ("cats", "dogs", "newts", "öwls")


def secret(number: int) -> Subkey:
    return Subkey(number.to_bytes(32, "big"))


def test_every_class_has_one_code_and_every_code_one_class() -> None:
    for number in range(50):
        found = assignment(secret(number), "band", NAMES)
        assert sorted(found) == list(range(len(NAMES)))
        assert assignment(secret(number), "band", NAMES[::-1]) == found
        assert sorted(assignment(secret(number), "band", NAMES[:1])) == [0]


def test_another_key_band_or_set_of_classes_draws_anew() -> None:
    many = [f"class {index}" for index in range(30)]
    first = assignment(secret(1), "band", many)
    assert assignment(secret(2), "band", many) != first
    assert assignment(secret(1), "other", many) != first
    assert assignment(secret(1), "band", [*many[1:], "another"]) != first


def test_each_permutation_is_about_as_likely() -> None:
    names, draws = NAMES[:3], 3000
    drawn = [tuple(assignment(secret(number), "band", names)) for number in range(draws)]
    counts = [drawn.count(one) for one in set(drawn)]
    assert len(counts) == 6
    expected = draws / 6
    # χ² with five degrees of freedom: 20.5 is its 0.999 quantile.
    assert sum((count - expected) ** 2 / expected for count in counts) < 20.5


def test_codes_do_not_depend_on_the_order_of_classes_but_on_the_key() -> None:
    codes, made = make_codes(NAMES, secret(1), PHOTOS, "csd", {}, Quiet())
    again, _ = make_codes(NAMES[::-1], secret(1), PHOTOS, "csd", {}, Quiet())
    other, _ = make_codes(NAMES, secret(2), PHOTOS, "csd", {}, Quiet())
    assert set(codes) == set(NAMES) and made.csd_after is not None
    as_json = [{name: code.to_json() for name, code in of.items()} for of in (codes, again, other)]
    assert as_json[0] == as_json[1]
    assert all(as_json[0][name] != as_json[2][name] for name in NAMES)


def test_the_codes_are_the_same_whatever_the_classes_are_called() -> None:
    """Chosen blind: names decide who gets which, not what there is."""
    one, _ = make_codes(("a", "b", "c"), secret(3), PHOTOS, "csd", {}, Quiet())
    two, _ = make_codes(("x", "y", "z"), secret(3), PHOTOS, "csd", {}, Quiet())
    first, second = ({str(code.to_json()) for code in of.values()} for of in (one, two))
    assert first == second and len(first) == 3


def test_a_class_that_joins_leaves_the_others_alone() -> None:
    codes, _ = make_codes(NAMES[:2], secret(1), PHOTOS, "csd", {}, Quiet())
    joined, _ = make_codes(NAMES[2:], secret(1), PHOTOS, "csd", codes, Quiet())
    assert set(joined) == set(NAMES[2:])
    frequencies = [tuple(code.frequencies.ravel()) for code in (*codes.values(), *joined.values())]
    assert len(set(frequencies)) == len(NAMES)


def test_a_commitment_binds_and_hides_the_secret() -> None:
    owner = OwnerKey(bytes(range(32)))
    mine, other = texture_secret(owner, "photos"), texture_secret(owner, "holidays")
    assert mine == texture_secret(OwnerKey(bytes(range(32))), "photos") != other
    opened = hashlib.sha256(b"ue commitment v1" + mine.secret + mine.nonce).hexdigest()
    assert mine.commitment == opened != other.commitment
    assert len(mine.nonce) == 32 and mine.nonce != other.nonce
    shown = {mine.secret.hex(), mine.nonce.hex(), mine.fingerprint}
    assert mine.commitment not in shown and mine.lot("a") != mine.lot("b") != mine.lot("b", "c")


def test_a_photos_own_variation_is_of_its_pixels() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    seed = secret(1).pixel_seed(pixels)
    assert seed == secret(1).pixel_seed(np.asfortranarray(pixels)) and len(seed) == 32
    others = [pixels + np.uint8(1), pixels.reshape(4, 2, 3), pixels[::-1]]
    assert len({seed, secret(2).pixel_seed(pixels), *map(secret(1).pixel_seed, others)}) == 5


def test_a_collection_is_its_name_and_key_wherever_it_lies_and_whatever_photos_are_called(
    ue: Ue, photos: Path, tmp_path: Path
) -> None:
    def made(out: str, *words: str) -> tuple[dict[str, bytes], Manifest]:
        done = ue("protect", photos, "-o", tmp_path / out, *words)
        assert done.all_written, done.out
        files = tree(tmp_path / out)
        del files[MANIFEST_FILE]
        return files, read_manifest(tmp_path / out)

    one, first = made("one")
    for folder, name in (("cats", "drawn.png"), ("dogs", "1.jpg")):
        (photos / folder / name).rename(photos / folder / f"new {name}")
    two, second = made("two")
    three, other = made("three", "--collection", "holidays")
    assert {name.replace("new ", ""): data for name, data in two.items()} == one
    assert two.keys() == three.keys()
    assert three["cats/new drawn.png"] != two["cats/new drawn.png"]
    assert three["dogs/web.webp"] != two["dogs/web.webp"]

    owner = load_key(tmp_path / "home")
    assert owner is not None
    found = texture_secret(owner, "photos")
    opened = hashlib.sha256(b"ue commitment v1" + found.secret + found.nonce).hexdigest()
    assert first.commitment == second.commitment == opened
    assert other.commitment == texture_secret(owner, "holidays").commitment != opened
    assert len({manifest.collection for manifest in (first, second, other)}) == 3


def test_cells_have_no_texture_secret_to_commit_to(ue: Ue, photos: Path) -> None:
    ue("protect", photos, "--space", "pixel")
    assert read_manifest(photos.with_name("photos-protected")).commitment is None


def test_another_name_for_the_same_output_is_refused(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    done = ue("protect", photos, "--collection", "holidays")
    assert done.code == 2 and done.envelope["error"]["code"] == "options-differ"
    assert (
        "collection photos; this run asks for collection holidays"
        in (done.envelope["error"]["message"])
    )
