"""What is recorded of objects beside their files, as statements of a term and a value for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from multiblast.registry.model.rows import (
    CodeRepoReleaseRow,
    CodeRunRow,
    DataProductRow,
    ExternalObjectRow,
    IssueRow,
    KeyValueRow,
    KeywordRow,
    LicenceRow,
    ObjectComponentRow,
    ObjectRow,
    QualityControlledRow,
    StorageLocationRow,
    StorageRootRow,
    join_place,
    write_time,
)
from multiblast.registry.sync.row_graph import RowGraph


class Term(Enum):
    """What the data model itself states; no text is equal to one, so that a fact of that name stays a fact."""

    LICENCE = "licence"
    KEYWORD = "keyword"
    TITLE = "title"
    IDENTIFIER = "identifier"
    PUBLISHED = "published"
    PUBLISHED_VERSION = "published version"
    SUPPLEMENT = "supplement"
    REPOSITORY = "repository"
    COMMIT = "commit"
    PLACE = "place"
    RELEASE = "release"
    CONTROLLED = "quality controlled"
    ISSUE = "issue"


Statement = tuple[Term | str, str]  # a text is the key of a fact of somebody's own


class Statements:
    """The statements of all objects of a graph, which shows nothing private."""

    def __init__(self, graph: RowGraph) -> None:
        self._graph = graph
        self._of: dict[str, list[Statement]] = {}
        self._code = {run.code_repo for run in graph.of(CodeRunRow)}
        for item in graph.of(ObjectRow):
            self._of[item.reference] = list(self._of_place(item))
        for owner, statement in self._of_details():
            self._of.setdefault(owner, []).append(statement)

    def of(self, item: ObjectRow) -> list[Statement]:
        """Return what is stated of an object; see `Statement`."""
        return self._of.get(item.reference, [])

    def _of_place(self, item: ObjectRow) -> Iterator[Statement]:
        """Yield where an object is that is elsewhere; of code, its repository and its commit."""
        location = self._graph.get(StorageLocationRow, item.storage_location)
        root = self._graph.get(StorageRootRow, location.storage_root) if location else None
        if location is None or root is None or root.local or not root.root.startswith(("http", "ssh")):
            return
        address = join_place(root.root, location.path)
        if item.reference in self._code:
            yield from ((Term.REPOSITORY, address), (Term.COMMIT, location.hash))
        else:
            yield Term.PLACE, address

    def _of_details(self) -> Iterator[tuple[str, Statement]]:
        graph = self._graph
        for licence in graph.of(LicenceRow):
            yield licence.object, (Term.LICENCE, f"{licence.identifier or ''} {licence.licence_info}".strip())
        for keyword in graph.of(KeywordRow):
            yield keyword.object, (Term.KEYWORD, keyword.keyphrase)
        for fact in graph.of(KeyValueRow):
            yield fact.object, (fact.key, fact.value)
        for release in graph.of(CodeRepoReleaseRow):
            yield release.object, (Term.RELEASE, f"{release.name} {release.version}")
        for checked in graph.of(QualityControlledRow):
            document = graph.get(ObjectRow, checked.document)
            yield checked.object, (Term.CONTROLLED, f"urn:uuid:{document.uuid}" if document else "yes")
        for issue in graph.of(IssueRow):
            parts = [part for one in issue.component_issues if (part := graph.get(ObjectComponentRow, one))]
            for part in parts:
                about = "" if part.whole_object else f" of component {part.name}"
                yield part.object, (Term.ISSUE, f"severity {issue.severity}{about}: {issue.description}")
        for external in graph.of(ExternalObjectRow):
            product = graph.get(DataProductRow, external.data_product)
            for statement in _published(external) if product else ():
                yield product.object, statement  # type: ignore[union-attr]  # it is there


def _published(external: ExternalObjectRow) -> Iterator[Statement]:
    """Yield what was published that an object is, or comes with."""
    yield Term.TITLE, external.title
    if external.identifier:
        yield Term.IDENTIFIER, external.identifier
    if external.alternate_identifier:
        yield Term.IDENTIFIER, f"{external.alternate_identifier_type}: {external.alternate_identifier}"
    yield Term.PUBLISHED, write_time(external.release_date)
    if external.version:
        yield Term.PUBLISHED_VERSION, external.version
    if not external.primary_not_supplement:
        yield Term.SUPPLEMENT, "to what was published"
