"""`ue protect`: a folder in, a protected copy of the tree and a report out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from contextlib import suppress
from heapq import nsmallest

from ue_cli.errors import ExitCode, UeError
from ue_cli.images.decode import DECODER
from ue_cli.images.names import plan_names
from ue_cli.images.scan import Scan, scan
from ue_cli.images.write import sweep
from ue_cli.metadata.embedded import MetadataPolicy
from ue_cli.owner.key import load_or_create_key
from ue_cli.owner.manifest import ManifestWriter, safe_join
from ue_cli.owner.places import check_places, check_private, no_files
from ue_cli.owner.state import Collection, ProtectedHashes
from ue_cli.protection.aftercare import certify_after
from ue_cli.protection.making import Origin
from ue_cli.protection.onefile import (
    Shared,
    Task,
    Written,
    is_unchanged,
    protect_file,
    set_up,
)
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.prepare import (
    create_collection,
    join_collection,
    label_photos,
    output_collection,
    require_same,
)
from ue_cli.protection.publicnotes import describe
from ue_cli.protection.published import PublicPerturbation, read_perturbation
from ue_cli.protection.results import WORST, ProtectResult, Run
from ue_cli.protection.summary import write_summary
from ue_cli.report import report_folder
from ue_cli.types import FileRecord, Phases, PhotoSet, Skipped
from ue_cli.workers import Crashed, WorkerPool

EXAMINED = 24
"""How many photos the report measures fidelity on and shows."""


def protect(options: ProtectOptions, phases: Phases) -> ProtectResult:
    """Do the main job (product.md, Commands).

    Raises:
        UeError: nothing could be done, or a guarantee could not be kept; what was written until
            then is whole, and the same call goes on from there.
    """
    started = time.monotonic()
    check_places(options.src, options.out)
    check_private(options.src, options.out, report_folder(options.out), options.home)
    public = read_perturbation(options)
    phases.start("Scanning", 1)
    source = scan(options.src)
    phases.step()
    if not source.files:
        raise no_files(options.src)
    fingerprint, info = output_collection(options)
    if info is not None:
        require_same(options, info, public)
    photos, clusters = label_photos(source, options, info, phases)
    phases.note(f"Labels: {photos.label_reason}")
    if public is not None and public.chosen:
        phases.note(f"Perturbation: {public.chosen}")
    if options.dry_run:
        return _plan(source, photos, public, options, started)

    owner = load_or_create_key(options.home)
    origin: Origin | None
    if info is None:
        collection, pattern, origin = create_collection(
            options, owner, photos, clusters, public, phases
        )
    else:
        collection = Collection.open(options.home, owner, fingerprint)
    with collection:
        if info is not None:
            pattern, origin = join_collection(collection, owner, options, photos, public, phases)
        options.out.mkdir(exist_ok=True)
        shared = Shared(
            out=options.out,
            subkey=collection.subkey,
            pattern=pattern,
            budget=options.budget,
            look=options.look,
            format=options.format,
            policy=_policy(options),
            max_pixels=options.max_pixels,
            protected=ProtectedHashes(options.home).load(),
        )
        run = Run(skipped=list(source.skipped))
        secret = options.space == "texture"
        with ManifestWriter(
            options.out,
            collection=collection.fingerprint,
            decoder=DECODER,
            commitment=collection.info.texture_secret(owner).commitment if secret else None,
        ) as manifest:
            sweep(options.out)  # OUT is ours from here on: nobody else's drafts lie in it
            _write_files(photos, collection, manifest, shared, options, run, phases)
            if run.fresh + run.earlier_files:
                manifest.finish()
            elif not manifest.entries:
                manifest.discard()
        if run.fresh + run.earlier_files:
            result = write_summary(
                options, photos, collection, run, origin, public, started, phases
            )
        elif info is None:
            collection.discard()
    if run.fresh + run.earlier_files:
        return certify_after(options, result, phases) if options.certify else result
    if info is None:
        with suppress(OSError):  # it was there before, with something harmless in it
            options.out.rmdir()
    raise _nothing_usable(run)


def _write_files(
    photos: PhotoSet,
    collection: Collection,
    manifest: ManifestWriter,
    shared: Shared,
    options: ProtectOptions,
    run: Run,
    phases: Phases,
) -> None:
    phases.start("Protecting", len(photos.photos))
    pool = WorkerPool(protect_file, options.jobs, set_up, (shared,))
    sample = _sample([photo.name for photo in photos.photos], collection)

    def changed() -> Iterator[Task]:
        """Go on with what has to be read; the rest stays as it is."""
        for task in _tasks(photos, collection, sample, options.overwrite):
            record = task.finished
            trusted = not options.rehash and not task.examine
            if record is not None and trusted and is_unchanged(task, options.out):
                phases.step()
                run.earlier_files += 1
                manifest.add(record.output, record.sha256)
            else:
                yield task

    for task, outcome in pool.run(changed()):
        phases.step()
        if isinstance(outcome, Crashed):
            outcome = Skipped(task.name, "crashed", "Reading it ended the process; left alone.")
        if isinstance(outcome, Skipped):
            run.skipped.append(outcome)
            continue
        if outcome.fresh:
            run.fresh += 1
            _drop_renamed(task, outcome.record, manifest, options)
            collection.append(outcome.record)
        else:
            run.earlier_files += 1
            if outcome.record != task.finished:
                collection.append(outcome.record)
        manifest.add(outcome.record.output, outcome.record.sha256)
        if outcome.examined is not None:
            run.examined[task.name] = outcome.examined
    worst = _worst(photos, collection) - run.examined.keys()
    again = [task for task in _tasks(photos, collection, worst, False) if task.examine]
    for _, outcome in pool.run(again) if again else ():
        if not isinstance(outcome, Written) or outcome.examined is None:
            continue
        run.worst.append(outcome.examined)
        if outcome.fresh:  # neither its size nor its time had told that it is another
            run.earlier_files -= 1
            run.fresh += 1
            collection.append(outcome.record)
            manifest.add(outcome.record.output, outcome.record.sha256)


def _drop_renamed(
    task: Task, record: FileRecord, manifest: ManifestWriter, options: ProtectOptions
) -> None:
    """Take an earlier output away whose original has changed its type, and so its output's name."""
    earlier = task.naming.previous
    if earlier is not None and earlier != record.output and earlier in manifest.entries:
        del manifest.entries[earlier]
        safe_join(options.out, earlier).unlink(missing_ok=True)


def _tasks(
    photos: PhotoSet, collection: Collection, examine: Set[str], overwrite: bool
) -> Iterator[Task]:
    names = [photo.name for photo in photos.photos]
    namings = plan_names(names, {r.name: r.output for r in collection.records()})
    for photo, naming in zip(photos.photos, namings, strict=True):
        yield Task(
            name=photo.name,
            path=photo.path,
            label=photo.label or "",
            naming=naming,
            finished=None if overwrite else collection.finished(photo.name),
            examine=photo.name in examine,
        )


def _sample(names: list[str], collection: Collection) -> set[str]:
    """The photos that the report examines: chosen by the key, so that resuming changes nothing."""
    if len(names) <= EXAMINED:
        return set(names)
    return set(sorted(names, key=collection.subkey.photo_seed)[:EXAMINED])


def _worst(photos: PhotoSet, collection: Collection) -> set[str]:
    """The photos of this run that a viewer would tell from their originals first."""
    names = {photo.name for photo in photos.photos}
    records = (record for record in collection.records() if record.name in names)
    return {record.name for record in nsmallest(WORST, records, key=lambda record: record.jod)}


def _policy(options: ProtectOptions) -> MetadataPolicy:
    return MetadataPolicy(
        strip_gps=options.strip_gps, strip_all=options.strip_metadata, opt_out=options.opt_out
    )


def _nothing_usable(run: Run) -> UeError:
    first = run.skipped[0]
    return UeError(
        "nothing-usable",
        f"None of the {len(run.skipped)} files could be protected; the first is "
        f"{first.name}: {first.reason}",
        "ue protects still images that Pillow can decode: JPEG, PNG, WebP, TIFF, BMP and others.",
        exit_code=ExitCode.NOTHING_USABLE,
    )


def _plan(
    source: Scan,
    photos: PhotoSet,
    public: PublicPerturbation | None,
    options: ProtectOptions,
    started: float,
) -> ProtectResult:
    return ProtectResult(
        dry_run=True,
        out=options.out,
        report=None,
        fingerprint=None,
        candidates=len(photos.photos),
        fresh=0,
        earlier_files=0,
        skipped=source.skipped,
        classes=photos.classes,
        label_rule=photos.label_rule,
        label_reason=photos.label_reason,
        budget=None,
        levels=options.budget.levels,
        look=options.look,
        strict=options.strict,
        routes={},
        cautions=(),
        public=None if public is None else describe(public),
        seconds=time.monotonic() - started,
    )
