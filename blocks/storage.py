"""The block of the place where queries, results and reports are kept."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from blocks import appearance
from multiblast.errors import NotFoundError
from multiblast.settings import home
from multiblast.stores import LocalStore, S3Store, Store
from multiblast.stores.s3 import connect

__all__ = ["ResultStorage", "s3_store"]


class ResultStorage(Block):
    """Where queries, results and reports are kept: a directory, or a bucket of any server that speaks S3."""

    _block_type_name = "BLAST result storage"
    _block_type_slug = "blast-result-storage"
    _description = "Where multiblast keeps queries, results and reports."
    _logo_url = appearance.LOGO
    _documentation_url = appearance.DOCUMENTATION
    _code_example = """
Keep results in a bucket whose S3 Bucket block is called "results":
```python
from blocks.storage import ResultStorage

ResultStorage(s3_bucket="results").save("default", overwrite=True)
```
Look into a storage:
```python
from blocks.storage import ResultStorage

storage = ResultStorage.load("BLOCK_NAME")
keys = [found.key for found in storage.store().list("reports/")]
```
"""

    directory: str = Field(default="", description="A local directory. Empty: `store` in multiblast's home.")
    s3_bucket: str = Field(
        default="",
        description="Instead of a directory, the name of an S3 Bucket block (of prefect-aws); its folder is kept to.",
    )

    def store(self) -> Store:
        """Return the store.

        Raises:
            NotFoundError: there is no S3 Bucket block of that name.
        """
        if self.s3_bucket:
            return s3_store(self.s3_bucket)
        return LocalStore(Path(self.directory) if self.directory else home() / "store")


def s3_store(name: str) -> S3Store:
    """Return the store in the bucket of an S3 Bucket block.

    Raises:
        NotFoundError: there is no block of that name.
    """
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
