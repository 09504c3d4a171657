"""Perturbations by path, name and address: what is fetched, from where, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.banks.hub_server import COMMIT, TOKEN, Hub, serving
from tests.banks.test_cards import MEASURED, bank, card_of
from tests.jobs.conftest import picture
from ue_cli.banks.bank import load_bank, save_bank
from ue_cli.banks.cardfile import write_card
from ue_cli.banks.hub import resolve, resolve_every
from ue_cli.banks.remote import Address
from ue_cli.errors import UeError

WORKER = Path(__file__).with_name("hub_worker.py")
FILE = "small.safetensors"

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank and its true card."""
    folder = tmp_path_factory.mktemp("published")
    save_bank(bank(), folder / FILE)
    write_card(card_of(folder / FILE, bank()), folder / "small.json")
    return folder


@pytest.fixture(scope="module")
def hub(published: Path) -> Iterator[Hub]:
    with serving() as (served, _):
        fill(served, published)
        yield served


KINDS = (
    "asleep",
    "delivered",
    "down",
    "drowsy",
    "flaky",
    "forged",
    "good",
    "mute",
    "plain",
    "stalled",
    "truncated",
)


def fill(served: Hub, published: Path) -> None:
    whole = (published / FILE).read_bytes()
    for kind in KINDS:
        served.files[f"o/{kind}", FILE] = whole
    served.files["o/good", "small.json"] = (published / "small.json").read_bytes()
    served.files["o/good", "deep/er/small.safetensors"] = whole


def environment(served: Hub, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {
        "HF_ENDPOINT": served.url,
        "HF_HOME": str(home),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hf")


@pytest.fixture(scope="module")
def worker(hub: Hub, home: Path) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, str(WORKER)],
        env=environment(hub, home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield started
    started.communicate()


@pytest.fixture
def ue(worker: subprocess.Popen[str]) -> Ask:
    def run(*arguments: str) -> dict[str, Any]:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(json.dumps([*arguments, "--json"]) + "\n")
        worker.stdin.flush()
        done = json.loads(worker.stdout.readline())
        envelope: dict[str, Any] = json.loads(done["out"])
        assert envelope["exit_code"] == done["code"]
        return envelope

    return run


@pytest.fixture
def ask(ue: Ask) -> Ask:
    return partial(ue, "fetch-perturbations")


def in_cache(home: Path, kind: str) -> list[str]:
    """Every file of a repository that the cache holds as good, or holds in part."""
    folder = home / "hub" / f"models--o--{kind}"
    places = [*(folder / "snapshots").rglob("*"), *(folder / "blobs").rglob("*")]
    return [path.name for path in places if path.is_symlink() or path.is_file()]


def refused(envelope: dict[str, Any], code: str) -> str:
    assert envelope["exit_code"] == 4
    assert envelope["error"]["code"] == code
    return str(envelope["error"]["message"])


def test_a_file_of_the_hub_is_fetched_once_and_pinned(ask: Ask, hub: Hub, published: Path) -> None:
    first = ask(f"hf://o/good/{FILE}")["result"]["perturbations"][0]
    assert first["source"] == "hub"
    assert first["address"] == f"hf://o/good@{COMMIT}/{FILE}"
    assert Path(first["path"]).read_bytes() == (published / FILE).read_bytes()
    assert first["card"]["measured"][0]["control_last"] == 0.64
    before = len(hub.asked)
    second = ask(f"hf://o/good@main/{FILE}")["result"]["perturbations"][0]
    assert second == first | {"source": "cache"}
    assert len(hub.asked) == before  # nothing was asked
    ask(f"hf://o/good/{FILE}", "--refresh")
    assert len(hub.asked) > before


def test_the_token_goes_to_the_hub_and_nowhere_else(ask: Ask, hub: Hub) -> None:
    assert ask(f"hf://o/delivered/{FILE}")["ok"]
    assert hub.tokens["hub"] == {f"Bearer {TOKEN}"}
    assert hub.tokens["elsewhere"] == {None}


def test_a_renamed_repository_is_followed(ask: Ask) -> None:
    assert ask(f"hf://o/renamed/{FILE}")["ok"]


def test_folders_revisions_and_small_files_are_taken(ask: Ask, home: Path) -> None:
    found = ask(f"hf://o/good@{COMMIT}/deep/er/small.safetensors")["result"]["perturbations"][0]
    assert found["address"] == f"hf://o/good@{COMMIT}/deep/er/small.safetensors"
    assert ask(f"hf://o/plain/{FILE}")["ok"]
    [blob] = set(in_cache(home, "plain")) - {FILE}
    assert len(blob) == 40  # git's hash, not SHA-256


@pytest.mark.parametrize(("kind", "method"), [("flaky", "GET"), ("drowsy", "HEAD")])
def test_a_server_error_is_tried_again(ask: Ask, hub: Hub, kind: str, method: str) -> None:
    assert ask(f"hf://o/{kind}/{FILE}")["ok"]
    assert len(hub.requests(f"o/{kind}", method)) > 1


@pytest.mark.parametrize(("kind", "status"), [("down", "500"), ("asleep", "503")])
def test_a_lasting_server_error_is_told(ask: Ask, home: Path, kind: str, status: str) -> None:
    assert status in refused(ask(f"hf://o/{kind}/{FILE}"), "hub-status")
    assert in_cache(home, kind) == []


def test_a_hub_that_says_nothing_is_told(ask: Ask, hub: Hub, home: Path) -> None:
    assert hub.url in refused(ask(f"hf://o/mute/{FILE}"), "hub-unreachable")
    assert in_cache(home, "mute") == []


def test_a_dropped_connection_is_resumed_where_it_broke(ask: Ask, hub: Hub, tmp_path: Path) -> None:
    """huggingface_hub writes 10 MiB at a time, and goes on after the last that it wrote."""
    large = replace(bank(), delta=np.full((2, 600, 3, 64, 64), 8, np.int8))
    save_bank(large, tmp_path / FILE)
    hub.files["o/dropped", FILE] = (tmp_path / FILE).read_bytes()
    found = ask(f"hf://o/dropped/{FILE}")["result"]["perturbations"][0]
    assert hub.requests("o/dropped", "GET") == [None, f"bytes={10 << 20}-"]
    assert Path(found["path"]).read_bytes() == (tmp_path / FILE).read_bytes()


def test_a_truncated_body_is_thrown_away(ask: Ask, home: Path) -> None:
    assert "incompletely" in refused(ask(f"hf://o/truncated/{FILE}"), "hub-incomplete")
    assert in_cache(home, "truncated") == []


def test_bytes_of_another_hash_are_thrown_away(ask: Ask, home: Path) -> None:
    assert "hash" in refused(ask(f"hf://o/forged/{FILE}"), "hub-hash")
    assert in_cache(home, "forged") == []


def test_a_damaged_cache_is_fetched_anew(ask: Ask, hub: Hub, home: Path, published: Path) -> None:
    address = "hf://o/good/deep/er/small.safetensors"
    path = Path(ask(address)["result"]["perturbations"][0]["path"])
    path.write_bytes(b"x" + path.read_bytes()[1:])
    again = ask(address)["result"]["perturbations"][0]
    assert again["source"] == "hub"
    assert Path(again["path"]).read_bytes() == (published / FILE).read_bytes()


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (f"hf://o/private/{FILE}", "hub-denied"),
        (f"hf://o/gated/{FILE}", "hub-denied"),
        (f"hf://o/nowhere/{FILE}", "hub-repository"),
        (f"hf://o/good@v9/{FILE}", "hub-revision"),
        ("hf://o/good/other.safetensors", "hub-file"),
        ("hf://o/good/README.md", "perturbation-kind"),
        ("hf://o/good", "hub-address"),
        ("hf://o/--bad--/x.safetensors", "hub-address"),
    ],
)
def test_what_the_hub_does_not_give_is_said(ask: Ask, address: str, code: str) -> None:
    refused(ask(address), code)


def beyond_budget() -> bytes:
    meta = {"format": "ue-bank", "version": 1, "levels": 8, "classes": ["a"], "method": "csd"}
    meta |= {"space": "pixel", "recipe": {}, "created_by": "ue 0.1.0"}
    delta = np.full((1, 1, 3, 2, 2), 20, np.int8)
    return save({"delta": delta}, metadata={"ue": json.dumps(meta)})


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("beyond", beyond_budget(), "outside its stated budget"),
        ("webpage", b"<html>not here</html>", "not a whole safetensors file"),
        ("foreign", save({"w": np.zeros(3)}), "no readable description"),
    ],
)
def test_what_is_no_bank_is_not_used_and_not_kept(
    ask: Ask, hub: Hub, home: Path, kind: str, data: bytes, said: str
) -> None:
    hub.files[f"o/{kind}", FILE] = data
    assert said in refused(ask(f"hf://o/{kind}/{FILE}"), "perturbation-unreadable")
    assert in_cache(home, kind) == []


def test_a_bank_that_its_card_does_not_mean_is_not_kept(
    ask: Ask, hub: Hub, home: Path, published: Path, tmp_path: Path
) -> None:
    lying = replace(card_of(published / FILE, bank()), sha256="0" * 64)
    write_card(lying, tmp_path / "small.json")
    hub.files["o/lying", FILE] = (published / FILE).read_bytes()
    hub.files["o/lying", "small.json"] = (tmp_path / "small.json").read_bytes()
    refused(ask(f"hf://o/lying/{FILE}"), "perturbation-hash")
    assert in_cache(home, "lying") == []


def test_without_its_card_no_bank_is_kept(ask: Ask, hub: Hub, home: Path, published: Path) -> None:
    hub.files["o/down", "small.json"] = (published / "small.json").read_bytes()
    refused(ask(f"hf://o/down/{FILE}"), "hub-status")
    assert len(hub.requests("o/down", "GET")) >= 3
    assert in_cache(home, "down") == []


def test_another_json_beside_a_bank_is_no_card(ask: Ask, hub: Hub, published: Path) -> None:
    hub.files["o/other", FILE] = (published / FILE).read_bytes()
    hub.files["o/other", "small.json"] = b'{"model_type": "resnet"}'
    hub.files["o/other", "noise.NPZ"] = archive()
    assert ask(f"hf://o/other/{FILE}")["result"]["perturbations"][0]["card"] is None
    array = ask("hf://o/other/noise.NPZ")["result"]["perturbations"][0]
    assert (array["shape"], array["card"]) == ([4, 3, 2, 2], None)


def archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, noise=np.zeros((4, 3, 2, 2), np.float32))
    return buffer.getvalue()


def test_offline_the_cache_serves_and_nothing_is_asked(ask: Ask, hub: Hub, home: Path) -> None:
    ask(f"hf://o/good/{FILE}")
    before = len(hub.asked)
    lines = [
        json.dumps(["fetch-perturbations", "--json", f"hf://o/good/{FILE}"]),
        json.dumps(["fetch-perturbations", "--json", "hf://o/good/unknown.safetensors"]),
    ]
    done = subprocess.run(
        [sys.executable, str(WORKER)],
        env=environment(hub, home) | {"HF_HUB_OFFLINE": "1"},
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = (json.loads(json.loads(line)["out"]) for line in done.stdout.splitlines())
    assert first["result"]["perturbations"][0]["source"] == "cache"
    refused(second, "hub-offline")
    assert len(hub.asked) == before


@pytest.mark.slow
def test_ctrl_c_while_a_file_comes_leaves_nothing_that_looks_whole(
    published: Path, tmp_path: Path
) -> None:
    with serving() as (served, server):
        fill(served, published)
        with start(served, tmp_path) as running:
            wait_until_stalled(server)
            running.send_signal(signal.SIGINT)
            server.go_on.set()  # type: ignore[attr-defined]
            assert running.wait(30) == 130
        assert in_cache(tmp_path, "stalled") == []
        with start(served, tmp_path) as again:
            out, _ = again.communicate(timeout=30)
        assert json.loads(out)["result"]["perturbations"][0]["source"] == "hub"


def start(served: Hub, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ue_cli", "fetch-perturbations", "--json"]
    return subprocess.Popen(
        [*command, f"hf://o/stalled/{FILE}"],
        env=environment(served, home),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_until_stalled(server: ThreadingHTTPServer) -> None:
    assert server.stalled.wait(60)  # type: ignore[attr-defined]


def test_what_is_protected_with_an_address_is_pinned_to_its_commit(
    ue: Ask, published: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "photos" / name / "0.png", 0, size=(16, 16))
    words = ["protect", str(tmp_path / "photos"), "--home", str(tmp_path / "home"), "--jobs", "1"]
    words += ["--perturbation", f"hf://o/good@main/{FILE}"]
    result = ue(*words)["result"]
    pinned = f"hf://o/good@{COMMIT}/{FILE}"
    assert result["perturbation"]["name"] == pinned
    assert result["perturbation"]["card"] == "small"
    assert "64.0 % (65.0 %) without it" in result["perturbation"]["claims"][0]
    said = json.loads((tmp_path / "photos-protected.report" / "report.json").read_text())
    assert said["method"]["perturbation"] == pinned
    (stored,) = (tmp_path / "home").glob("collections/*/bank.safetensors")
    recipe = load_bank(stored).provenance.recipe
    assert recipe["file"] == pinned
    assert recipe["sha256"] == hashlib.sha256((published / FILE).read_bytes()).hexdigest()


def test_a_path_comes_before_a_name(published: Path) -> None:
    found = resolve(str(published / FILE))
    assert (found.source, found.name) == ("path", "small")
    assert found.card is not None and found.card.sha256 == found.sha256


def test_a_bank_beside_a_card_of_another_is_refused(published: Path, tmp_path: Path) -> None:
    shutil.copy(published / "small.json", tmp_path)
    save_bank(replace(bank(), classes=("c", "d")), tmp_path / FILE)
    with pytest.raises(UeError, match="SHA-256"):
        resolve(str(tmp_path / FILE))


def test_a_path_that_is_not_there_is_not_taken_for_a_name() -> None:
    with pytest.raises(UeError, match="no perturbation file"):
        resolve("./csd-cifar10.safetensors")


@pytest.mark.parametrize("name", ["csd-cifar10", "CSD_CIFAR10", "cifar10"])
def test_names_find_the_bundle_from_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()  # a folder of that name is no perturbation
    found = resolve_every(name)
    assert {one.source for one in found} == {"bundle"}
    csd = next(one for one in found if one.name == "csd-cifar10")
    assert csd.path.is_absolute()
    assert len(load_bank(csd.path).classes) == 10


def test_the_best_measured_comes_first(tmp_path: Path) -> None:
    drops = {"a": None, "b": 0.4, "c": 0.1, "d": None}
    for name, last in drops.items():
        path = tmp_path / f"{name}.safetensors"
        save_bank(bank(), path)
        measured = () if last is None else (replace(MEASURED, last=last),)
        write_card(card_of(path, bank(), measured=measured), tmp_path / f"{name}.json")
    found = resolve_every("cifar10", bundle=tmp_path)
    assert [one.name for one in found] == ["c", "b", "a", "d"]
    assert resolve("cifar10", bundle=tmp_path).name == "c"


def test_a_damaged_bundle_is_not_used(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    (tmp_path / FILE).write_bytes(b"x" + (tmp_path / FILE).read_bytes()[1:])
    with pytest.raises(UeError, match="SHA-256"):
        resolve("small", bundle=tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(UeError, match="is not there"):
        resolve("small", bundle=tmp_path)


def test_a_misspelt_name_is_told_close_ones() -> None:
    with pytest.raises(UeError) as unknown:
        resolve("csd-cifra10")
    assert "csd-cifar10" in unknown.value.hint
    with pytest.raises(UeError) as strange:
        resolve("zzz")
    assert "csd-1000" in strange.value.hint


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://a/b/c.pt", ("a/b", "main", "c.pt")),
        ("hf://a.b/c-d@v1.0/e/f.safetensors", ("a.b/c-d", "v1.0", "e/f.safetensors")),
    ],
)
def test_addresses_are_read(text: str, parts: tuple[str, str, str]) -> None:
    address = Address.parse(text)
    assert (address.repo, address.revision, address.file) == parts
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["hf://", "hf://a", "hf://a/b", "hf://a/b/", "hf://a/b@/c", "hf://a/b/../c", "hf:/a/b/c"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UeError, match="not an address"):
        Address.parse(text)
