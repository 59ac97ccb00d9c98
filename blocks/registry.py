"""The blocks of the local registry and of remote ones."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks import appearance
from blocks.storage import s3_store
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.remotes.known import Remotes, open_remote
from multiblast.settings import home
from multiblast.stores import LocalStore, Store

__all__ = ["LocalRegistry", "RemoteRegistry"]


class LocalRegistry(Block):
    """Where data products, their provenance and their files are recorded here."""

    _block_type_name = "FAIR local registry"
    _block_type_slug = "fair-local-registry"
    _description = "Where data products, their provenance and their files are recorded."
    _logo_url = appearance.LOGO
    _documentation_url = appearance.DOCUMENTATION
    _code_example = """
Open the registry:
```python
from blocks.registry import LocalRegistry

registry = LocalRegistry.load("BLOCK_NAME").registry()
```
"""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="An SQLAlchemy URL: `sqlite:///PATH` or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`, of a "
        "database of its own. Empty: a SQLite file in multiblast's home.",
    )
    files: str = Field(default="", description="Directory of the files. Empty: `store` in multiblast's home.")
    s3_bucket: str = Field(
        default="",
        description="Instead of a directory of files, the name of an S3 Bucket block (of prefect-aws).",
    )
    directory: str = Field(
        default="", description="Directory of runs and tokens. Empty: `registry` in multiblast's home."
    )

    def registry(self) -> Registry:
        """Return the registry; it is made at first use."""
        own = Registry.embedded()
        if not (self.url.get_secret_value() or self.files or self.s3_bucket or self.directory):
            return own
        url = self.url.get_secret_value() or f"sqlite:///{home() / 'registry.sqlite'}"
        store = _store(self.files, self.s3_bucket) or own.files.store
        return Registry(open_database(url), store, Path(self.directory) if self.directory else own.directory)


class RemoteRegistry(Block):
    """A registry to pull from and to push to; have as many as you like, each with a name."""

    _block_type_name = "FAIR remote registry"
    _block_type_slug = "fair-remote-registry"
    _description = "A FAIR data registry, or another multiblast's, to exchange data with."
    _logo_url = appearance.LOGO
    _documentation_url = appearance.DOCUMENTATION
    _code_example = """
Name a registry to exchange data with, and open it:
```python
from blocks.registry import RemoteRegistry
from blocks.registry import LocalRegistry

RemoteRegistry(url="https://registry.example.org").save("partner")
registry = LocalRegistry.load("default").registry()
partner = RemoteRegistry.load("BLOCK_NAME")
remote = partner.remote(registry)
```
"""

    url: str = Field(
        default="",
        description="The site of a FAIR data registry, or the database URL of another multiblast's registry. "
        "Empty: the remote of this block's name, or the only one, that `multiblast registry remote` set.",
    )
    token: SecretStr = Field(default=SecretStr(""), description="The token to write with; reading needs none.")
    files: str = Field(default="", description="Directory of the files of another multiblast's registry.")
    s3_bucket: str = Field(
        default="",
        description="Instead of that directory, the name of an S3 Bucket block (of prefect-aws).",
    )

    def remote(self, registry: Registry, name: str = "") -> Endpoint:
        """Return the remote.

        Args:
            registry: Which knows remotes by name, for a block that is empty.
            name: Which of them.
        """
        if not self.url:
            return Remotes(registry).open(name)
        return open_remote(self.url, self.token.get_secret_value(), _store(self.files, self.s3_bucket))


def _store(directory: str, s3_bucket: str) -> Store | None:
    """Return the store that a block names; None if it names none."""
    if s3_bucket:
        return s3_store(s3_bucket)
    return LocalStore(Path(directory)) if directory else None
