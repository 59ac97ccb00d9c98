"""The block of the place where queries, results and reports are kept."""

from __future__ import annotations

from pydantic import Field, model_validator

from blocks.appearance import OurBlock
from blocks.flat_documents import one_place
from multiblast.errors import NotFoundError
from multiblast.settings import home
from multiblast.stores import LocalStore, S3Store, Store, open_store
from multiblast.stores.s3 import connect

_BUCKET_BLOCK = "block:s3-bucket/"


class ResultStorage(OurBlock):
    """Where queries, results and reports are kept: a directory, or a bucket of any server that speaks S3."""

    _block_type_name = "BLAST result storage"
    _block_type_slug = "blast-result-storage"
    _description = "Where multiblast keeps queries, results and reports."
    _code_example = """
Keep results in a bucket whose S3 Bucket block is called "results":
```python
from blocks.storage import ResultStorage

ResultStorage(url="block:s3-bucket/results").save("default", overwrite=True)
```
Look into a storage:
```python
from blocks.storage import ResultStorage

storage = ResultStorage.load("BLOCK_NAME")
keys = [found.key for found in storage.store().list("reports/")]
```
"""

    url: str = Field(
        default="",
        description="A directory, a URL such as `s3://BUCKET/PREFIX?endpoint=URL` or `sftp://HOST/DIRECTORY` (whatever "
        "fsspec has a driver for), or `block:s3-bucket/NAME` for the bucket and folder of Prefect's S3 Bucket block of "
        "that name. Empty: `store` in multiblast's home.",
    )

    _read_flat = model_validator(mode="before")(one_place("url", "directory"))

    def store(self) -> Store:
        """Return the store: see `open_place`."""
        return open_place(self.url) if self.url else LocalStore(home() / "store")


def open_place(url: str) -> Store:
    """Return the store that a field of a block names: by a directory, a URL or another block, which must be there."""
    name = url.removeprefix(_BUCKET_BLOCK)
    return open_store(url) if name == url else _in_bucket_block(name)


def _in_bucket_block(name: str) -> S3Store:
    from prefect_aws import S3Bucket  # type: ignore[import-untyped]  # ships none; late, as it costs a second

    try:
        block = S3Bucket.load(name, _sync=True)
    except ValueError as error:
        raise NotFoundError("S3 Bucket block", name, "make it in Prefect under Blocks, or correct the name") from error
    parameters = block.credentials.aws_client_parameters.get_params_override()
    config = parameters.pop("config", None)
    region = block.credentials.region_name
    client = connect(block.credentials.get_boto3_session(), config, region_name=region, **parameters)
    return S3Store(client, block.bucket_name, block.bucket_folder)
