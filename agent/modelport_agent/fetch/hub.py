"""What a model hub says about a repository, through huggingface_hub: the commit, the files, their checksums, URLs.

It never downloads a file (transfer does) and it is imported only by a fetch that has an hf:// source, because
huggingface_hub costs 20 MiB of memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from huggingface_hub import HfApi, get_token, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.errors import HTTPError as ConnectionTrouble  # type: ignore[attr-defined]
from huggingface_hub.hf_api import RepoFile

from modelport_agent.fetch.errors import Code, FetchError, TransientError, gated, http_refusal
from modelport_agent.fetch.plan import HubSource, RemoteFile
from modelport_agent.fetch.retry import RETRIED_STATUS, retry_after, retrying

T = TypeVar("T")
ANSWER_SECONDS = 120.0
COMMIT = re.compile(r"[0-9a-f]{40}")


def headers() -> dict[str, str]:
    """What every request to the hub carries: the user agent and, where there is one, the token."""
    token = get_token()
    return {"User-Agent": "modelport-agent"} | ({"Authorization": f"Bearer {token}"} if token else {})


def resolve(source: HubSource) -> str:
    """The commit that the source's revision names now."""
    if COMMIT.fullmatch(source.revision):
        return source.revision
    info = _asked(source, lambda: HfApi().model_info(source.repo, revision=source.revision, timeout=30))
    if not info.sha:
        raise FetchError(Code.NETWORK, f"{source.uri}: the hub did not say which commit {source.revision} is")
    return info.sha


def files(source: HubSource, commit: str) -> list[RemoteFile]:
    """Every file of the commit."""
    tree = _asked(source, lambda: list(HfApi().list_repo_tree(source.repo, revision=commit, recursive=True)))
    return [
        RemoteFile(
            path=item.path,
            url=hf_hub_url(source.repo, item.path, revision=commit, endpoint=HfApi().endpoint),
            size=item.lfs.size if item.lfs else item.size,
            digest=f"sha256:{item.lfs.sha256}" if item.lfs else f"git:{item.blob_id}",
        )
        for item in tree
        if isinstance(item, RepoFile)
    ]


def _asked(source: HubSource, call: Callable[[], T]) -> T:
    """The hub's answer; its refusals become the user's sentence, its bad moments are retried."""

    def attempt() -> T:
        try:
            return within(ANSWER_SECONDS, call)
        except HFValidationError as error:
            raise FetchError(Code.BAD_URI, f"{source.uri}: {error}") from error
        except HfHubHTTPError as error:
            raise refusal(source, error) from error
        except (OSError, ConnectionTrouble) as error:
            raise TransientError(
                f"the hub at {HfApi().endpoint} cannot be reached: {error or type(error).__name__}"
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:  # no JSON, or not what the API promises
            text = f"what answers at {HfApi().endpoint} does not speak the hub's API ({type(error).__name__}: {error})"
            raise FetchError(Code.NETWORK, f"{source.uri}: {text}; correct hub.endpoint") from error

    return retrying(source.uri, attempt)


def within(seconds: float, call: Callable[[], T]) -> T:
    """`call()` in a thread that is left behind after so long: huggingface_hub itself lists a tree without a limit."""
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    Thread(target=work, daemon=True).start()
    return result.result(seconds)


def refusal(source: HubSource, error: HfHubHTTPError) -> FetchError | TransientError:
    """What the hub's refusal means for the user."""
    status = error.response.status_code if error.response is not None else 0
    known = f"{source.uri}: "
    if isinstance(error, GatedRepoError):
        return gated(source.uri, status, bool(get_token()))
    if isinstance(error, RepositoryNotFoundError):
        text = "the hub knows no such repository, or it is private and the token cannot see it"
        return FetchError(Code.NOT_FOUND, known + text + ("" if get_token() else " (no token is set)"))
    if isinstance(error, RevisionNotFoundError):
        return FetchError(Code.NOT_FOUND, f"{known}the repository has no revision {source.revision}")
    if isinstance(error, DisabledRepoError):
        return FetchError(Code.FORBIDDEN, known + "the hub has disabled this repository")
    if status in RETRIED_STATUS:
        return TransientError(f"the hub answered {status}", retry_after(error.response.headers.get("Retry-After")))
    return http_refusal(source.uri, status, bool(get_token()))
