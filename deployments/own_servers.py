"""PostgreSQL and an S3 server of our own, for ``make up PROFILE=full``, with their data below our home."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from deployments import processes
from deployments.processes import Background
from deployments.server import ServerError
from multiblast.settings import home

BUCKET = "multiblast"
_USER = "multiblast"
_DATABASES = ("prefect", "multiblast")
_SECRET_BYTES = {"postgres": 16, "s3_key": 10, "s3_secret": 20}
# A port each, from ten above Prefect's on.
_POSTGRES, _S3 = 10, 11
# The ports of SeaweedFS, that of S3 first.
WEED_PORTS = (
    *("s3.port", "s3.port.grpc", "master.port", "master.port.grpc"),
    *("volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
)


@dataclass(frozen=True, slots=True)
class OwnServers:
    """The two servers; their ports follow Prefect's."""

    host: str
    port: int

    @property
    def s3_endpoint(self) -> str:
        """The address of the S3 server."""
        return f"http://{self.host}:{self.port + _S3}"

    @property
    def s3_keys(self) -> tuple[str, str]:
        """The access key and the secret key of the S3 server."""
        kept = _secrets()
        return kept["s3_key"], kept["s3_secret"]

    def database_url(self, driver: str, name: str) -> str:
        """Return the address of a database, for a driver such as ``+psycopg``, or none."""
        return f"postgresql{driver}://{_USER}:{_secrets()['postgres']}@{self.host}:{self.port + _POSTGRES}/{name}"

    def start_postgres(self) -> Background:
        """Start PostgreSQL."""
        data, password = home() / "postgres", _secrets()["postgres"]
        command = postgres_command(data, self.host, self.port + _POSTGRES, _USER, password=password)
        return processes.start("postgres", command, {}, ends_by=signal.SIGINT)

    def start_s3(self) -> Background:
        """Start SeaweedFS."""
        command = weed_command(home() / "s3", self.host, self.s3_ports, *self.s3_keys)
        # Asked to end, it waits half a minute for others; what it wrote is with the kernel, which is enough.
        return processes.start("s3", command, {}, ends_by=signal.SIGKILL)

    @property
    def s3_ports(self) -> range:
        """The ports of the S3 server, in the order of `WEED_PORTS`."""
        return range(self.port + _S3, self.port + _S3 + len(WEED_PORTS))

    def has_databases(self) -> bool:
        """Make our databases where they are missing; return whether PostgreSQL is up."""
        import psycopg

        try:
            with psycopg.connect(self.database_url("", "postgres"), autocommit=True) as connection:
                for name in _DATABASES:
                    with suppress(psycopg.errors.DuplicateDatabase):
                        connection.execute(f"CREATE DATABASE {name}".encode())
        except psycopg.OperationalError:
            return False
        return True

    def has_bucket(self) -> bool:
        """Make our bucket where it is missing; return whether the S3 server is up."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        from multiblast.stores.s3 import connect

        session = boto3.session.Session(*self.s3_keys, region_name="us-east-1")
        client = connect(session, Config(retries={"total_max_attempts": 1}), endpoint_url=self.s3_endpoint)
        try:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"1")  # it can take a moment longer to write
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True


def postgres_command(data: Path, host: str, port: int, user: str, *, password: str = "") -> list[str]:
    """Return what runs PostgreSQL; its files are made if there are none.

    Without a password of its superuser everybody is let in, and nothing is synced to disk: for tests.
    """
    programs = _postgres_programs(data)
    if not (data / "PG_VERSION").exists():
        _make_cluster(programs, data, user, password)
    options = ["-D", str(data), "-h", host, "-p", str(port), "-k", "", "-c", "max_connections=200"]
    return [*_not_root(), str(programs / "postgres"), *options, *([] if password else ["-F"])]


def weed_command(data: Path, host: str, ports: Sequence[int], key: str, secret: str) -> list[str]:
    """Return what runs SeaweedFS, alone, with an S3 server; there is a port for each of `WEED_PORTS`."""
    data.mkdir(parents=True, exist_ok=True)
    config = data / "identities.json"
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": _USER, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
    write_secret(config, json.dumps({"identities": [identity]}))
    return [
        *(_weed(), "-logtostderr", "server", f"-dir={data}", f"-ip={host}", f"-ip.bind={host}"),
        *(f"-{name}={port}" for name, port in zip(WEED_PORTS, ports, strict=True)),
        *("-s3", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
        *(f"-s3.localSocket={data}/s3.sock", f"-filer.localSocket={data}/filer.sock", "-filer"),
        *("-master.electionTimeout=1s", "-master.telemetry=false", "-master.volumeSizeLimitMB=1000", "-volume.max=0"),
    ]


def remove_sockets(ports: Iterable[int]) -> None:
    """Remove what SeaweedFS leaves in the directory for temporary files when it is killed."""
    for port in ports:
        for socket in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108 - where it puts them, always
            socket.unlink(missing_ok=True)


def _secrets() -> dict[str, str]:
    """Return the secrets of both servers, made once for a home, as the data that they open stay there."""
    path = home() / "own-servers.json"
    if not path.exists():
        write_secret(path, json.dumps({name: secrets.token_hex(size) for name, size in _SECRET_BYTES.items()}))
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _not_root() -> Sequence[str]:
    """Return what comes before PostgreSQL's programs, which refuse to run as root.

    In a name space of its own a process of root's has another number, and what is root's is still its own: so
    the data can be anywhere, also where no other user may go.
    """
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []


def _postgres_programs(data: Path) -> Path:
    """Return the directory of PostgreSQL's programs, of the version that made the data; Debian keeps them apart."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: float(place.parent.name))
    if found := shutil.which("initdb"):
        places.append(Path(found).resolve().parent)
    with suppress(FileNotFoundError):
        version = (data / "PG_VERSION").read_text().strip()
        places = [place for place in places if place.parent.name == version] or places
    if not places:
        raise ServerError("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    return places[-1]


def _make_cluster(programs: Path, data: Path, user: str, password: str) -> None:
    data.parent.mkdir(parents=True, exist_ok=True)
    command = [*_not_root(), str(programs / "initdb"), "-D", str(data), "-U", user, "-E", "UTF8", "--no-locale"]
    with NamedTemporaryFile("w", dir=data.parent) as file:
        file.write(password)
        file.flush()
        command += ["-A", "scram-sha-256", "--pwfile", file.name] if password else ["-A", "trust", "--no-sync"]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"PostgreSQL cannot make its files in {data}: {done.stderr.strip()}")
    if password:
        with (data / "pg_hba.conf").open("w") as file:
            file.write(f"host all {user} all scram-sha-256\n")


def _weed() -> str:
    found = shutil.which(Path(sys.executable).with_name("weed")) or shutil.which("weed")
    if not found:
        raise ServerError("SeaweedFS is not installed: `make install` does it")
    return found
