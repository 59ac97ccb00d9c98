"""Which coupling a run has: the first that is named by the run, the environment, its plugin, or a block."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from multiblast.coupling.cache import InputCache
from multiblast.coupling.coupling import FilesystemCoupling, StoreCoupling
from multiblast.coupling.reference import Reference
from multiblast.environment import COUPLING, GATEWAY, GRANT
from multiblast.errors import InvalidInputError, Problem, StoreError
from multiblast.settings import home
from multiblast.stores import LocalStore, Store, open_store
from multiblast.stores.filesystems import driver_of, fsspec_schemes
from multiblast.stores.http import HttpStore

FILESYSTEM = "filesystem"
KNOWN = (FILESYSTEM, "s3", "https")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A coupling by its name, and what named it; place is the URL of its store, or empty for where results are kept."""

    name: str
    source: str
    place: str = ""

    def __str__(self) -> str:
        """Say which and why, as a run's page does."""
        return f"{self.name} (from {self.source})"


def choose(
    run: str = "", environment: Mapping[str, str] | None = None, configured: str = "", block: str = ""
) -> Chosen:
    """Return the coupling that counts; each is a known word, a store's URL, or empty.

    Args:
        run: What the run's parameter says.
        environment: Where ``MULTIBLAST_COUPLING`` may be; by default this process's.
        configured: What the plugin's configuration says.
        block: What the block says.

    Raises:
        InvalidInputError: what counts is not known, of which the known ones are listed, or its driver is not installed.
    """
    environment = os.environ if environment is None else environment
    named = {
        "this run": run,
        COUPLING: environment.get(COUPLING, ""),
        "the plugin's configuration": configured,
        "the block": block,
        "the default": FILESYSTEM,
    }
    source, value = next((source, value.strip()) for source, value in named.items() if value.strip())
    name, is_url, _ = value.partition("://")
    if name not in KNOWN:
        try:
            _check_driver(name)
        except StoreError as error:
            raise InvalidInputError(Problem(f"{error} ({source} says so)", "coupling")) from error
    return Chosen(name, source, value if is_url else "")


def _check_driver(name: str) -> None:
    if name in (there := fsspec_schemes()):
        driver_of(name)
        return
    installed: list[str] = []
    for scheme in there:
        with suppress(StoreError):
            driver_of(scheme)
            installed.append(scheme)
    known = ", ".join([*KNOWN, *installed])
    raise StoreError(f"{name!r} is no coupling that is known here: write one of {known}, or the URL of such a store")


def connect(chosen: Chosen, store: Store, cache: InputCache | None = None) -> StoreCoupling:
    """Return the coupling that was chosen, over its own place or else over the store where results are kept.

    Of ``https`` the place is the gateway that MULTIBLAST_GATEWAY names, opened by the grant in MULTIBLAST_GRANT.

    Raises:
        StoreError: it names no place, and results are kept in another kind of place.
    """
    if chosen.place:
        return StoreCoupling(open_store(chosen.place), cache, chosen.name)
    if chosen.name == FILESYSTEM:
        # A store elsewhere stays as it was before anybody chose: its files are copied.
        return FilesystemCoupling(store, cache) if isinstance(store, LocalStore) else StoreCoupling(store, cache)
    if chosen.name == ("https" if isinstance(store, HttpStore) else store.scheme):
        return StoreCoupling(store, cache, chosen.name)
    if chosen.name == "https":
        url, grant = os.environ.get(GATEWAY, ""), os.environ.get(GRANT, "")
        if url and grant:
            return StoreCoupling(HttpStore(url, lambda _afresh: grant), cache, chosen.name)
        raise StoreError(f"coupling {chosen}: set {GATEWAY} and {GRANT}, as `multiblast grant` prints it")
    raise StoreError(
        f"coupling {chosen}: results are kept in {store!r}; name the place, such as {chosen.name}://PLACE/DIRECTORY"
    )


def fetch(reference: str | Reference, into: Path | str = ".", *, store: Store | None = None) -> Path:
    """Return a local path of a file or directory, in a directory or where it is already: see `Coupling.fetch`.

    ``store`` is where results are kept, by default in multiblast's home; MULTIBLAST_COUPLING may name another place.
    """
    wanted = reference if isinstance(reference, Reference) else Reference.parse(reference)
    return _here(store).fetch(wanted, Path(into))


def push(path: Path | str, key: str, *, store: Store | None = None) -> Reference:
    """Take a file or directory to a key of the store, and return its reference: see `Coupling.push` and `fetch`."""
    return _here(store).push(Path(path), key)


def _here(store: Store | None) -> StoreCoupling:
    return connect(choose(), store or LocalStore(home() / "store"))
