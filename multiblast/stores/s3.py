"""A store in an S3 bucket: uploaded in parts, read by range, on any server that speaks S3."""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BufferedReader, BytesIO
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import SplitResult, parse_qsl, quote

from botocore.exceptions import BotoCoreError, ClientError

from multiblast.errors import ObjectMissingError, StoreError
from multiblast.stores.base import CHUNK_BYTES, Store, StoredObject, check_key, chunks, is_key
from multiblast.stores.s3_errors import MISSING, S3Place, error_code
from multiblast.stores.s3_reader import ObjectReader

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_PART_BYTES = 8 << 20  # 10 000 parts are allowed: objects of up to 78 GiB
_PARTS_AT_A_TIME = 4
_KEYS_A_REQUEST = 1000
_LONGEST_LINK_S = 7 * 24 * 3600
_ABANDONED_AFTER = timedelta(days=1)


def connect(session: Session, config: Config | None = None, **parameters: Any) -> S3Client:
    """Return a client as `S3Store` needs it: patient, retrying with back-off, keeping its connections.

    ``config`` says what shall be otherwise; other parameters are those of ``Session.client``.
    """
    from botocore.config import Config

    own = Config(
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": 6},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
        tcp_keepalive=True,
        # Servers other than Amazon's send the whole object's checksum with a range of it.
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if parameters.get("endpoint_url") else None,
    )
    return session.client("s3", config=own.merge(config) if config else own, **parameters)


class S3Store(Store):
    """Objects in a bucket that exists already, all below a prefix, so that the bucket can be shared.

    The client is from `connect`. Many servers want parts of 5 MiB or more.
    """

    scheme = "s3"

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Return the store at ``s3://BUCKET/PREFIX?endpoint=URL&region=NAME``.

        Prefix, endpoint and region may be left out. Credentials, and what is left out, are found where AWS's own
        programs find them: in environment variables, ``~/.aws`` or the machine's role.
        """
        from boto3.session import Session  # late, as it costs a third of a second

        given = dict(parse_qsl(url.query))
        endpoint, region = given.pop("endpoint", None), given.pop("region", None)
        if given or not url.hostname or url.username:
            # Without the URL itself, in which somebody may have written a secret.
            raise StoreError("the URL names no bucket, or too much: write s3://BUCKET/PREFIX?endpoint=URL&region=NAME")
        return cls(connect(Session(region_name=region), endpoint_url=endpoint), url.netloc, url.path)

    def __init__(self, client: S3Client, bucket: str, prefix: str = "", part_bytes: int = _PART_BYTES) -> None:
        self._client = client
        self.bucket = bucket
        self._part_bytes = part_bytes
        self.prefix = f"{check_key(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._place = S3Place(bucket, client.meta.endpoint_url)
        self._bucket_seen = False

    def __repr__(self) -> str:
        return f"S3Store({self._place.bucket!r}, {self.prefix!r}, at {self._place.endpoint})"

    def whereabouts(self) -> Hashable:
        """Return how often the server was away: with another disk, it may be another store afterwards."""
        return self._place.outages

    def put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Upload in one request, or in parts that become one object at the end: see `Store.put`."""
        return self._put(key, data, resumably=False)

    def put_resumably(self, key: str, data: BinaryIO | Iterable[bytes] | bytes) -> StoredObject:
        """Leave out the parts of an upload that the server has already: see `Store.put_resumably`."""
        return self._put(key, data, resumably=True)

    def _put(self, key: str, data: BinaryIO | Iterable[bytes] | bytes, *, resumably: bool) -> StoredObject:
        self._ready(writing=True)
        name = self._name(key)
        parts = _parts(chunks(data), self._part_bytes)
        head = list(islice(parts, 2))
        if len(head) > 1:
            self._put_parts(key, head, parts, resumably=resumably)
        else:
            body = head[0] if head else b""
            with self._place.explaining("write", key):
                self._client.put_object(Bucket=self.bucket, Key=name, Body=body, ContentMD5=_md5(body))
        return self.stat(key)

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Stream the object, asking again for the rest if the connection breaks: see `Store.open`."""
        name = self._name(key)
        if length == 0:
            self.stat(key)
            return BytesIO()
        try:
            reader = ObjectReader(self._client, self._place, key, name, start, length)
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in {"InvalidRange", "416"}:  # it begins beyond the end
                return BytesIO()
            raise self._explained("read", key, error) from error
        return BufferedReader(reader, CHUNK_BYTES)

    def stat(self, key: str) -> StoredObject:
        """Ask for the head: see `Store.stat`."""
        try:
            head = self._client.head_object(Bucket=self.bucket, Key=self._name(key))
        except (ClientError, BotoCoreError) as error:
            raise self._explained("look at", key, error) from error
        return StoredObject(key, head["ContentLength"], head["LastModified"].astimezone(UTC))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Go through the bucket a page at a time, in the server's own order: see `Store.list`."""
        self._ready()
        with self._place.explaining("list", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self.prefix)
                    if is_key(key) and key.startswith(prefix):  # SeaweedFS tidies prefixes such as "a//"
                        yield StoredObject(key, found["Size"], found["LastModified"].astimezone(UTC))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove a thousand a request: see `Store.delete`."""
        names = map(self._name, keys)
        while some := list(islice(names, _KEYS_A_REQUEST)):
            with self._place.explaining("remove", some[0]):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Quiet": True, "Objects": [{"Key": name} for name in some]}
                )
            if errors := answer.get("Errors"):
                first = errors[0]
                raise StoreError(
                    f"cannot remove {len(errors)} objects from {self._place}, first {first.get('Key')!r}: "
                    f"{first.get('Message') or first.get('Code')}"
                )

    def sweep(self) -> int:
        """Drop the parts of uploads that were begun more than a day ago: see `Store.sweep`."""
        self._ready()
        before = datetime.now(UTC) - _ABANDONED_AFTER
        abandoned = [(name, upload) for name, upload, begun in self._uploads(self.prefix) if begun < before]
        with self._place.explaining("remove", "abandoned uploads"):
            for name, upload in abandoned:
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=name, UploadId=upload)
        return len(abandoned)

    def presign(self, key: str, expires_s: int, filename: str = "") -> str:
        """Sign a link: see `Store.presign`. It works for at most 7 days, and no longer than the credentials."""
        if not 0 < expires_s <= _LONGEST_LINK_S:
            raise StoreError(f"a link cannot work for {expires_s} s: choose 1 to {_LONGEST_LINK_S} s (7 days)")
        filename = filename or key.rpartition("/")[2]
        parameters = {
            "Bucket": self.bucket,
            "Key": self._name(key),
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
        }
        with self._place.explaining("sign a link to", key):
            return self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_s)

    def _name(self, key: str) -> str:
        return self.prefix + self._checked(key)

    def _put_parts(self, key: str, head: Sequence[bytes], parts: Iterable[bytes], *, resumably: bool) -> None:
        name = self._name(key)
        with self._place.explaining("write", key):
            upload, there = self._begun(name) if resumably else ("", {})
            if any(not _is(part, tag) for part, tag in zip(head, there.values(), strict=False)):
                self._abort(name, upload)  # of other data
                upload, there = "", {}
            upload = upload or self._client.create_multipart_upload(Bucket=self.bucket, Key=name)["UploadId"]
            try:
                sent = self._send_parts(name, upload, chain(head, parts), there)
                self._client.complete_multipart_upload(
                    Bucket=self.bucket, Key=name, UploadId=upload, MultipartUpload={"Parts": sent}
                )
            except BaseException as error:
                if not resumably or isinstance(error, _OtherPartError):
                    self._abort(name, upload)
                raise

    def _send_parts(
        self, name: str, upload: str, parts: Iterable[bytes], there: Mapping[int, str]
    ) -> Sequence[CompletedPartTypeDef]:
        def send(number: int, body: bytes) -> CompletedPartTypeDef:
            if tag := there.get(number):
                if not _is(body, tag):  # not every server takes another part in its place
                    raise _OtherPartError(f"what an earlier attempt left of {name!r} is something else: try again")
                return {"PartNumber": number, "ETag": tag}
            answer = self._client.upload_part(
                Bucket=self.bucket, Key=name, UploadId=upload, PartNumber=number, Body=body, ContentMD5=_md5(body)
            )
            return {"PartNumber": number, "ETag": answer["ETag"]}

        sent: list[CompletedPartTypeDef] = []
        sending: deque[Future[CompletedPartTypeDef]] = deque()
        with ThreadPoolExecutor(_PARTS_AT_A_TIME, "s3-upload") as pool:
            for number, part in enumerate(parts, start=1):
                sending.append(pool.submit(send, number, part))
                if len(sending) >= _PARTS_AT_A_TIME:  # so that no more parts than these are in memory
                    sent.append(sending.popleft().result())
            sent.extend(future.result() for future in sending)
        return sent

    def _abort(self, name: str, upload: str) -> None:
        with suppress(ClientError, BotoCoreError):  # what failed first is raised; `sweep` gets the rest
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=name, UploadId=upload)

    def _begun(self, name: str) -> tuple[str, dict[int, str]]:
        """Return the newest upload to a name that did not end, with the tags of its parts; nothing if there is none."""
        uploads = [(begun, upload) for key, upload, begun in self._uploads(name) if key == name]
        if not uploads:
            return "", {}
        _, upload = max(uploads)
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=name, UploadId=upload)
        parts = (part for page in pages for part in page.get("Parts", ()))
        return upload, {part["PartNumber"]: part["ETag"] for part in parts}

    def _uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        with self._place.explaining("list", "uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
            try:
                for page in pages:
                    for found in page.get("Uploads", ()):
                        if found["Key"].startswith(prefix):  # some servers ignore the prefix
                            yield found["Key"], found["UploadId"], found["Initiated"]
            except ClientError as error:
                if error_code(error) != "NoSuchUpload":  # rclone's answer where there never was one
                    raise

    def _explained(self, action: str, key: str, error: ClientError | BotoCoreError) -> StoreError:
        """Distinguish a missing object from a missing bucket, which some servers' answers do not."""
        if error_code(error) not in MISSING:
            return self._place.error(action, key, error)
        if not self._bucket_seen:
            with self._place.explaining("look into", self.bucket):
                self._client.head_bucket(Bucket=self.bucket)
            self._bucket_seen = True
        return ObjectMissingError(key)


class _OtherPartError(StoreError):
    """What was uploaded before is not the beginning of this."""


def _is(body: bytes, tag: str) -> bool:
    """Return whether a part that the server has is this one; where tags are no MD5, none is."""
    return tag.strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()


def _md5(body: bytes) -> str:
    """Return what every S3 server checks a body against; newer checksums are ignored by some."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _parts(pieces: Iterable[bytes], part_bytes: int) -> Iterator[bytes]:
    """Cut and join pieces of any size into parts of one size, the last one shorter."""
    part = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        while view:
            taken = view[: part_bytes - len(part)]
            part += taken
            view = view[len(taken) :]
            if len(part) == part_bytes:
                yield bytes(part)
                part = bytearray()
    if part:
        yield bytes(part)
