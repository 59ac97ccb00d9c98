"""Whether the files of a registry are what they should be."""

from __future__ import annotations

from sqlmodel import col, select

from multiblast.errors import MultiblastError, ObjectMissingError
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.tables import StorageLocation, StorageRoot
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary


def verify(registry: Registry) -> TransferSummary:
    """Compute every digest of every file again."""
    report = TransferSummary()
    with registry.session() as session:
        hashes = session.exec(select(StoredFile.sha1).order_by(StoredFile.sha1)).all()
        local = session.exec(
            select(StorageLocation.hash).join(StorageRoot).where(col(StorageRoot.local)).distinct()
        ).all()
    for sha1 in hashes:
        try:
            found = registry.files.verify(sha1)
            report.outcomes.append(Outcome(sha1, ItemResult.DONE, "", found.size_bytes))
        except MultiblastError as error:
            report.outcomes.append(Outcome(sha1, ItemResult.FAILED, str(error)))
    report.outcomes += [
        Outcome(sha1, ItemResult.FAILED, str(ObjectMissingError(sha1))) for sha1 in sorted(set(local) - set(hashes))
    ]
    return report
