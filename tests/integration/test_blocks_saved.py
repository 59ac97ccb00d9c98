"""Blocks saved in a real Prefect server: documents of earlier forms, and storage over a real S3 server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentCreate, BlockSchemaCreate
from prefect.testing.utilities import prefect_test_harness
from prefect_aws import AwsCredentials, MinIOCredentials, S3Bucket
from prefect_aws.client_parameters import AwsClientParameters

from blocks.installation import BlastInstallation
from blocks.limits import BlastQueryLimits
from blocks.policy import ServicePolicy
from blocks.registry import LocalRegistry, RemoteRegistry
from blocks.storage import ResultStorage
from deployments.register import register_blocks
from flows.maintain_storage import copy_results
from multiblast import settings
from multiblast.errors import NotFoundError
from multiblast.installation import Installation
from multiblast.registry.remotes.public_view import PublicView
from multiblast.stores import LocalStore, S3Store
from multiblast.transfer import CopyProgress

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=300):
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
        ResultStorage(url=f"block:s3-bucket/{name}").save(name, _sync=True)
    stores = [ResultStorage.load(name, _sync=True).store() for name in ("aws", "minio")]
    stores[0].put("either/1f", b"x")
    assert stores[1].read("either/1f") == b"x"
    assert isinstance(stores[1], S3Store)
    assert stores[1].prefix == "multiblast/"


@pytest.mark.usefixtures("_bucket_blocks")
def test_storage_block_keeps_our_patience_and_takes_the_users_settings() -> None:
    store = ResultStorage(url="block:s3-bucket/aws").store()
    assert isinstance(store, S3Store)
    config = store._client.meta.config
    assert (config.retries["mode"], config.connect_timeout) == ("standard", 3)


def test_storage_block_names_the_missing_bucket_block() -> None:
    with pytest.raises(NotFoundError, match="no S3 Bucket block 'nowhere'; make it in Prefect under Blocks"):
        ResultStorage(url="block:s3-bucket/nowhere").store()


@pytest.mark.usefixtures("_bucket_blocks")
def test_copy_flow_moves_from_a_directory_to_a_bucket(tmp_path: Path) -> None:
    local = LocalStore(tmp_path)
    for number in range(3):
        local.put(f"copied/{number}", bytes(number))
    ResultStorage(url=str(tmp_path)).save("here", _sync=True)
    ResultStorage(url="block:s3-bucket/aws").save("bucket", _sync=True)
    done = asyncio.run(copy_results("here", "bucket"))
    assert done == CopyProgress(3, 3, 3, 3)
    assert [found.size_bytes for found in ResultStorage(url="block:s3-bucket/minio").store().list("copied/")] == [
        0,
        1,
        2,
    ]
    assert asyncio.run(copy_results("here", "bucket")).copied == 0


def test_copy_flow_names_the_missing_storage_block() -> None:
    with pytest.raises(NotFoundError, match="no BLAST result storage block 'nowhere'"):
        asyncio.run(copy_results("nowhere", "nowhere"))


@pytest.mark.usefixtures("_bucket_blocks")
def test_registry_blocks_keep_files_in_a_bucket(tmp_path: Path) -> None:
    registry = LocalRegistry(directory=str(tmp_path), files_url="block:s3-bucket/aws").registry()
    remote = RemoteRegistry(url=f"sqlite:///{tmp_path / 'r.sqlite'}", files_url="block:s3-bucket/minio").remote(
        registry
    )
    assert isinstance(registry.files.store, S3Store)
    assert isinstance(remote, PublicView)
    assert isinstance(remote.registry.files.store, S3Store)
    kept = remote.registry.files.add_bytes(b"kept in a bucket")
    assert registry.files.store.read(registry.files.key(kept.sha256)) == b"kept in a bucket"
    for one in (registry, remote):
        one.close()


_FLAT_POLICY = {
    "administrators": ["ada", "bob"],
    "trust_unnamed": False,
    "keep_days": 7,
    "batches_at_a_time": 2,
    "large_job_s": 60,
    "jobs_at_a_time": 3,
    "helpers": 4,
    "provenance": True,
    "jobs_queued": 5,
    "sequences_a_day": 6,
    "bytes_kept": 8,
    "notice_hosts": ["*.example.org"],
    "notices_to_loopback": False,
    "notices_to_private": True,
}
_SAME_POLICY = settings.Policy(
    administrators=frozenset({"ada", "bob"}),
    trust_unnamed=False,
    keep_days=7,
    batches_at_a_time=2,
    large_job_s=60,
    jobs_at_a_time=3,
    helpers=4,
    provenance=True,
    users=settings.UserLimits(jobs_queued=5, sequences_per_day=6, bytes_kept=8),
    notices=settings.NoticeRules(hosts=("*.example.org",), loopback=False, private=True),
)


def save_flat(block: type[Block], name: str, values: dict[str, Any]) -> None:
    """Save a document of the form that a block had before it held a settings model."""
    block.register_type_and_schema(_sync=True)
    fields = {"title": block.__name__, "type": "object", "properties": {name: {"title": name} for name in values}}
    with get_client(sync_client=True) as client:
        schema = client.create_block_schema(BlockSchemaCreate(fields=fields, block_type_id=block._block_type_id))
        client.create_block_document(
            BlockDocumentCreate(name=name, data=values, block_schema_id=schema.id, block_type_id=block._block_type_id)
        )


def test_documents_of_the_flat_form_are_read_and_saved_anew_in_the_present_form() -> None:
    """What was saved before blocks held settings models means the same, before registration and after."""
    flat_limits = {"sequences": 1, "query_bytes": 2, "longest_nucleotide": 3, "longest_protein": 4, "results": 5}
    save_flat(BlastQueryLimits, "old", flat_limits)
    layout = "{site}/{target}/{database}"
    machine = {"programs": "/opt/blast", "targets_root": "/data", "layout": layout, "cores": 3, "time_limit_s": 0}
    save_flat(BlastInstallation, "old", machine)
    save_flat(BlastInstallation, "untouched", {**machine, "programs": "", "cores": 0})
    save_flat(ServicePolicy, "old", _FLAT_POLICY)
    save_flat(ResultStorage, "old", {"directory": "", "s3_bucket": "results"})
    limits = settings.QueryLimits(**flat_limits)
    for _ in range(2):
        assert BlastQueryLimits.load("old", _sync=True).limits == limits
        assert ServicePolicy.load("old", _sync=True).policy == _SAME_POLICY
        found = BlastInstallation.load("old", _sync=True)
        assert found.installation == Installation(Path("/opt/blast"), cores=3)
        assert (found.targets_root, found.layout) == ("/data", layout)
        assert ResultStorage.load("old", _sync=True).url == "block:s3-bucket/results"
        assert BlastInstallation.load("untouched", _sync=True).installation == Installation()
        register_blocks()
    with get_client(sync_client=True) as client:
        saved = client.read_block_document_by_name("old", ServicePolicy._block_type_slug).block_schema
        assert "policy" in saved.fields["properties"]  # so that the form in the browser is the present one


def test_document_of_the_flat_form_takes_new_values() -> None:
    """Prefect keeps the flat values beside the new ones."""
    save_flat(ServicePolicy, "changed", _FLAT_POLICY)
    ServicePolicy.public().save("changed", overwrite=True, _sync=True)
    assert ServicePolicy.load("changed", _sync=True).policy == settings.Policy.public()


def test_settings_models_survive_saving() -> None:
    ServicePolicy(policy=_SAME_POLICY).save("whole", _sync=True)
    assert ServicePolicy.load("whole", _sync=True).policy == _SAME_POLICY
    BlastQueryLimits.public().save("public", _sync=True)
    assert BlastQueryLimits.load("public", _sync=True).limits == settings.QueryLimits.public()
    BlastInstallation(installation=Installation(Path("/opt"), 2, 1.5)).save("machine", _sync=True)
    assert BlastInstallation.load("machine", _sync=True).installation == Installation(Path("/opt"), 2, 1.5)
