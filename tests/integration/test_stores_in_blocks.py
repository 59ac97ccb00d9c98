"""Storage blocks over a real S3 server and Prefect's own blocks, and the flow that copies between them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.testing.utilities import prefect_test_harness
from prefect_aws import AwsCredentials, MinIOCredentials, S3Bucket
from prefect_aws.client_parameters import AwsClientParameters

from blocks.registry import LocalRegistry, RemoteRegistry
from blocks.storage import ResultStorage
from flows.copy_results import copy_results
from multiblast.errors import NotFoundError
from multiblast.registry.remotes.public_view import PublicView
from multiblast.stores import LocalStore, S3Store
from multiblast.transfer import CopyProgress

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield
    gc.collect()


@pytest.fixture(scope="module")
def _bucket_blocks(rclone_s3: Any) -> None:
    """Register the same bucket under both kinds of credentials."""
    bucket = rclone_s3.store().bucket
    parameters = AwsClientParameters(endpoint_url=rclone_s3.endpoint, config={"connect_timeout": 3})
    aws = AwsCredentials(
        aws_access_key_id=rclone_s3.access_key,
        aws_secret_access_key=rclone_s3.secret_key,
        region_name="us-east-1",
        aws_client_parameters=parameters,
    )
    minio = MinIOCredentials(
        minio_root_user=rclone_s3.access_key,
        minio_root_password=rclone_s3.secret_key,
        region_name="us-east-1",
        aws_client_parameters=parameters,
    )
    S3Bucket(bucket_name=bucket, credentials=aws, bucket_folder="multiblast").save("aws", _sync=True)
    S3Bucket(bucket_name=bucket, credentials=minio, bucket_folder="multiblast/").save("minio", _sync=True)


@pytest.mark.usefixtures("_bucket_blocks")
def test_storage_block_in_a_bucket_takes_either_credentials() -> None:
    for name in ("aws", "minio"):
        ResultStorage(s3_bucket=name).save(name, _sync=True)
    stores = [ResultStorage.load(name, _sync=True).store() for name in ("aws", "minio")]
    stores[0].put("either/1f", b"x")
    assert stores[1].read("either/1f") == b"x"
    assert isinstance(stores[1], S3Store)
    assert stores[1].prefix == "multiblast/"


@pytest.mark.usefixtures("_bucket_blocks")
def test_storage_block_keeps_our_patience_and_takes_the_users_settings() -> None:
    store = ResultStorage(s3_bucket="aws").store()
    assert isinstance(store, S3Store)
    config = store._client.meta.config
    assert (config.retries["mode"], config.connect_timeout) == ("standard", 3)


def test_storage_block_names_the_missing_bucket_block() -> None:
    with pytest.raises(NotFoundError, match="no S3 Bucket block 'nowhere'; make it in Prefect under Blocks"):
        ResultStorage(s3_bucket="nowhere").store()


@pytest.mark.usefixtures("_bucket_blocks")
def test_copy_flow_moves_from_a_directory_to_a_bucket(tmp_path: Path) -> None:
    local = LocalStore(tmp_path)
    for number in range(3):
        local.put(f"copied/{number}", bytes(number))
    ResultStorage(directory=str(tmp_path)).save("here", _sync=True)
    ResultStorage(s3_bucket="aws").save("bucket", _sync=True)
    done = asyncio.run(copy_results("here", "bucket"))
    assert done == CopyProgress(3, 3, 3, 3)
    assert [found.size_bytes for found in ResultStorage(s3_bucket="minio").store().list("copied/")] == [0, 1, 2]
    assert asyncio.run(copy_results("here", "bucket")).copied == 0


def test_copy_flow_names_the_missing_storage_block() -> None:
    with pytest.raises(NotFoundError, match="no BLAST result storage block 'nowhere'"):
        asyncio.run(copy_results("nowhere", "nowhere"))


@pytest.mark.usefixtures("_bucket_blocks")
def test_registry_blocks_keep_files_in_a_bucket(tmp_path: Path) -> None:
    registry = LocalRegistry(directory=str(tmp_path), s3_bucket="aws").registry()
    remote = RemoteRegistry(url=f"sqlite:///{tmp_path / 'r.sqlite'}", s3_bucket="minio").remote(registry)
    assert isinstance(registry.files.store, S3Store)
    assert isinstance(remote, PublicView)
    assert isinstance(remote.registry.files.store, S3Store)
    kept = remote.registry.files.add_bytes(b"kept in a bucket")
    assert registry.files.store.read(registry.files.key(kept.sha256)) == b"kept in a bucket"
    for one in (registry, remote):
        one.close()
