"""The blocks of the local registry and of remote ones."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from blocks.appearance import OurBlock
from blocks.flat_documents import one_place
from blocks.storage import open_place
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.remotes.known import Remotes, open_remote
from multiblast.settings import home


class LocalRegistry(OurBlock):
    """Where data products, their provenance and their files are recorded here."""

    _block_type_name = "FAIR local registry"
    _block_type_slug = "fair-local-registry"
    _description = "Where data products, their provenance and their files are recorded."
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
    files_url: str = Field(
        default="",
        description="Where the files are kept: a directory, a URL such as `s3://BUCKET/PREFIX?endpoint=URL`, or "
        "`block:s3-bucket/NAME`. Empty: `store` in multiblast's home.",
    )
    directory: str = Field(
        default="", description="Directory of runs and tokens. Empty: `registry` in multiblast's home."
    )

    _read_flat = model_validator(mode="before")(one_place("files_url", "files"))

    def registry(self) -> Registry:
        """Return the registry; it is made at first use."""
        own = Registry.embedded()
        if not (self.url.get_secret_value() or self.files_url or self.directory):
            return own
        url = self.url.get_secret_value() or f"sqlite:///{home() / 'registry.sqlite'}"
        store = open_place(self.files_url) if self.files_url else own.files.store
        directory = Path(self.directory) if self.directory else own.directory
        return Registry(open_database(url, own=True), store, directory, own=True)


class RemoteRegistry(OurBlock):
    """A registry to pull from and to push to; have as many as you like, each with a name."""

    _block_type_name = "FAIR remote registry"
    _block_type_slug = "fair-remote-registry"
    _description = "A FAIR data registry, or another multiblast's, to exchange data with."
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
    files_url: str = Field(
        default="",
        description="Where the files of another multiblast's registry are: a directory, a URL such as "
        "`s3://BUCKET/PREFIX?endpoint=URL`, or `block:s3-bucket/NAME`.",
    )

    _read_flat = model_validator(mode="before")(one_place("files_url", "files"))

    def remote(self, registry: Registry, name: str = "") -> Endpoint:
        """Return the remote; for a block that is empty, the one that the registry knows by this name."""
        if not self.url:
            return Remotes(registry).open(name)
        store = open_place(self.files_url) if self.files_url else None
        return open_remote(self.url, self.token.get_secret_value(), store)
