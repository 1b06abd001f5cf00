"""The fetch itself: downloads by destination, then links, then copies.

It reads like the sentence: see what is there, ask what the source is now, fetch what is missing, rename.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from modelport_agent.config import Copy, Download, Link, Step
from modelport_agent.fetch import place
from modelport_agent.fetch.errors import Code, FetchError
from modelport_agent.fetch.plan import HubSource, RemoteFile, Source, arrange, choose, parse_source
from modelport_agent.fetch.progress import Progress
from modelport_agent.fetch.retry import retrying
from modelport_agent.fetch.transfer import Part, StoppedError, Transfer, open_url
from modelport_agent.fetch.web import describe

PARALLEL = 4


@dataclass(frozen=True)
class Job:
    """One file: where it comes from and where it lands below the step's folder."""

    file: RemoteFile
    destination: str
    transfer: Transfer

    @property
    def key(self) -> str:
        """Names the partial file, so that bytes of another version are never continued."""
        text = f"{self.destination}\0{self.file.digest}\0{self.file.validator}\0{self.transfer.uri}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def run(steps: Sequence[Step]) -> None:
    """Take every step; a FetchError ends it."""
    by_target: dict[Path, list[Download]] = {}
    for step in steps:
        if isinstance(step, Download):
            by_target.setdefault(step.to, []).append(step)
    for to, downloads in by_target.items():
        fetch_into(to, downloads, [step.to for step in steps if step.to != to])
    for step in steps:
        if isinstance(step, Link):
            others = [other.to for other in steps if other is not step]
            place.link(step.source, step.to, step.layout, others)
    for step in steps:
        if isinstance(step, Copy):
            (place.copy_folder if step.folder else place.copy)(step.source, step.to)


def check(steps: Sequence[Step]) -> None:
    """Whether every step could be taken: sources and credentials are proved by the first byte of a file, nothing is written."""
    for step in steps:
        if isinstance(step, Download):
            source = parse_source(step.uri)
            first_byte(step, source, plan(step, source, version(source), Progress(step.uri, 0, 0), threading.Event()))
        elif not step.source.exists():
            raise FetchError(Code.NOT_FOUND, f"{step.source}: the volume has no such file or folder")
    print("fetch: every source can be fetched from", flush=True)


def first_byte(step: Download, source: Source, jobs: Sequence[Job]) -> None:
    """Ask for that of the largest file, as the download would; a web source's description has done so already. A hub lists the
    files of a gated repository to everybody."""
    if isinstance(source, HubSource) and any(job.file.size for job in jobs):
        largest = max(jobs, key=lambda job: job.file.size or 0)
        headers = {**largest.transfer.headers, "Range": "bytes=0-0"}
        retrying(step.uri, lambda: open_url(step.uri, largest.file.url, headers).close())


def fetch_into(to: Path, downloads: Sequence[Download], others: Sequence[Path]) -> None:
    """Make `to` hold what its sources hold now."""
    sources = {step.uri: parse_source(step.uri) for step in downloads}
    there = place.finished(to, others)
    try:
        versions = {uri: version(source) for uri, source in sources.items()}
    except FetchError as error:
        if error.code == Code.NETWORK and there is not None and there.keys() == sources.keys():
            print(f"fetch: {to}: complete, and kept although its source cannot be asked: {error.text}", flush=True)
            return
        raise
    if there == versions:
        print(f"fetch: {to}: complete and unchanged", flush=True)
        return
    stop = threading.Event()
    progress = Progress(", ".join(sources), 0, 0)
    jobs = [job for step in downloads for job in plan(step, sources[step.uri], versions[step.uri], progress, stop)]
    names = [job.destination for job in jobs]
    if len(set(names)) != len(names):
        raise FetchError(Code.BAD_URI, f"{', '.join(sources)}: two sources bring the same file into {to}")
    download(to, jobs, progress, stop)
    place.land(to, place.staging(to) / "tree", names, versions)
    what = ", ".join(f"{uri} at {state or 'an unknown version'}" for uri, state in versions.items())
    print(f"fetch: {to}: complete, {what}", flush=True)


def version(source: Source) -> str:
    """What tells this state of the source from another: a commit, an ETag, a date."""
    if isinstance(source, HubSource):
        from modelport_agent.fetch import hub

        return hub.resolve(source)
    return describe(source).validator


def plan(step: Download, source: Source, commit: str, progress: Progress, stop: threading.Event) -> list[Job]:
    """The files of one source and where they land."""
    headers: dict[str, str] = {}
    if isinstance(source, HubSource):
        from modelport_agent.fetch import hub

        headers = hub.headers()
        files = choose(source, hub.files(source, commit))
        single = bool(source.path) and len(files) == 1 and source.path.endswith(files[0].path)
    else:
        files, single = [describe(source)], True
    transfer = Transfer(step.uri, headers, progress.count, progress.keep, stop)
    landing = arrange((file.path for file in files), step.layout, single=single)
    return [Job(file, landing[file.path], transfer) for file in files]


def download(to: Path, jobs: Sequence[Job], progress: Progress, stop: threading.Event) -> None:
    """Fill the staging folder's `tree`; what an earlier run left there is checked and used."""
    parts, tree = place.staging(to) / "parts", place.staging(to) / "tree"
    parts.mkdir(parents=True, exist_ok=True)
    tree.mkdir(exist_ok=True)
    wanted = {job.key for job in jobs}
    for stale in [path for path in parts.iterdir() if path.name not in wanted]:
        stale.unlink()
    progress.files, progress.total = len(jobs), sum(job.file.size or 0 for job in jobs)
    with progress:  # from here on: to make the checksums of what is there anew takes minutes, too
        missing = [job for job in jobs if not kept(job, tree / job.destination, progress)]
        arrived = sum((parts / job.key).stat().st_size for job in missing if (parts / job.key).exists())
        uris = ", ".join(dict.fromkeys(job.transfer.uri for job in jobs))
        place.check_space(uris, tree, sum(job.file.size or 0 for job in missing) - arrived)
        receive(missing, parts, tree, progress, stop)


def receive(jobs: Sequence[Job], parts: Path, tree: Path, progress: Progress, stop: threading.Event) -> None:
    """Download the files, a few at a time, the largest first. The first failure for good ends it and waits for nobody:
    others may be blocked, and what they have received stays."""

    def work(job: Job) -> None:
        job.transfer.download(job.file, parts / job.key, tree / job.destination)
        progress.finished_file()

    pool = ThreadPoolExecutor(PARALLEL)
    futures = [pool.submit(work, job) for job in sorted(jobs, key=lambda job: -(job.file.size or 0))]
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    failed = [error for future in done if (error := future.exception())]
    pool.shutdown(wait=False, cancel_futures=True)
    if failed:
        stop.set()
        raise next((error for error in failed if not isinstance(error, StoppedError)), failed[0])


def kept(job: Job, path: Path, progress: Progress) -> bool:
    """Whether an earlier run completed this file; its checksum is made anew rather than believed."""
    if not path.is_file() or not job.file.digest:
        return False
    part = Part.resume(job.file, path)
    if part.size != job.file.size or not part.verified():
        path.unlink()
        return False
    progress.keep(part.size)
    progress.finished_file()
    return True
