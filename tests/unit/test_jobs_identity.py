"""Job ids: what changes them, what does not, and that they are the same for ever."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from multiblast.jobs import JobConfig, TargetName, report_id, sequence_digest
from multiblast.results import ResultKeys
from multiblast.sequences import Sequence, check_query
from multiblast.settings import QueryLimits

_CONFIG = JobConfig(
    site="uniprot",
    program="blastp",
    options={"evalue": 1e-5, "max_target_seqs": 50},
    targets=frozenset({TargetName("swissprot", "uniprot_sprot"), TargetName("trembl", "uniprot_trembl")}),
)
_KEYS = ResultKeys("blastp", "2.12.0+", {"evalue": 1e-5}, ["f" * 32])

_RESIDUES = st.text("ACDEFGHIKLMNPQRSTVWY", min_size=1, max_size=200)
_TITLES = st.from_regex(r"[A-Za-z0-9_.|-]{1,12}( [A-Za-z0-9 ]{0,20}[A-Za-z0-9])?", fullmatch=True)
_RECORDS = st.lists(
    st.tuples(_TITLES, _RESIDUES), min_size=1, max_size=6, unique_by=lambda record: record[0].split()[0]
)


def _read(text: str | bytes) -> list[Sequence]:
    query = check_query(text, molecule="protein", limits=QueryLimits(), max_target_seqs=500)
    return list(query)


def _fasta(records: list[tuple[str, str]], *, width: int = 60, end: str = "\n", last: str = "\n") -> str:
    lines = []
    for title, residues in records:
        lines.append(f">{title}")
        lines += [residues[start : start + width] for start in range(0, len(residues), width)]
    return end.join(lines) + last


def _query_id(text: str | bytes, config: JobConfig = _CONFIG) -> str:
    return config.query_id(sequence_digest(sequence.canonical) for sequence in _read(text))


def _result_keys(text: str, keys: ResultKeys = _KEYS) -> list[str]:
    return [keys.key(sequence.residues) for sequence in _read(text)]


@given(_RECORDS, st.integers(1, 120), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n", "\n\n"]))
def test_form_of_the_text_does_not_change_ids(records: list[tuple[str, str]], width: int, end: str, last: str) -> None:
    plain, other = _fasta(records), _fasta(records, width=width, end=end, last=last)
    assert _query_id(other) == _query_id(plain)
    assert _result_keys(other) == _result_keys(plain)


def test_compression_does_not_change_ids() -> None:
    text = _fasta([("one", "MKVLAAGIV")])
    assert _query_id(gzip.compress(text.encode())) == _query_id(text)


@given(_RECORDS, st.data())
def test_any_change_of_residues_changes_ids(records: list[tuple[str, str]], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(records) - 1))
    title, residues = records[number]
    changed = data.draw(_RESIDUES.filter(lambda other: other != residues))
    others = [*records[:number], (title, changed), *records[number + 1 :]]
    assert _query_id(_fasta(others)) != _query_id(_fasta(records))
    assert _result_keys(_fasta(others))[number] != _result_keys(_fasta(records))[number]


@given(_RECORDS, _TITLES)
def test_title_changes_the_job_but_no_result(records: list[tuple[str, str]], title: str) -> None:
    assume(title.split(maxsplit=1)[0] not in {record[0].split()[0] for record in records})
    renamed = [(title, records[0][1]), *records[1:]]
    assert _query_id(_fasta(renamed)) != _query_id(_fasta(records))
    assert _result_keys(_fasta(renamed)) == _result_keys(_fasta(records))


@given(_RECORDS.filter(lambda records: len(records) > 1), st.data())
def test_order_changes_the_job_but_no_result(records: list[tuple[str, str]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(records))
    assume(shuffled != records)
    assert _query_id(_fasta(shuffled)) != _query_id(_fasta(records))
    assert sorted(_result_keys(_fasta(shuffled))) == sorted(_result_keys(_fasta(records)))


@given(_RECORDS)
def test_company_changes_no_child_and_no_result(records: list[tuple[str, str]]) -> None:
    digests = [sequence_digest(sequence.canonical) for sequence in _read(_fasta(records))]
    for number, record in enumerate(records):
        alone = _fasta([record])
        assert _query_id(alone) == list(_CONFIG.child_ids(digests))[number]
        assert _result_keys(alone) == [_result_keys(_fasta(records))[number]]


@given(st.permutations(sorted(_CONFIG.targets)))
def test_order_of_targets_does_not_change_ids(targets: list[TargetName]) -> None:
    assert replace(_CONFIG, targets=frozenset(targets)).digest == _CONFIG.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda config: replace(config, site="pdb"),
        lambda config: replace(config, program="blastx"),
        lambda config: replace(config, options={"evalue": 1e-6, "max_target_seqs": 50}),
        lambda config: replace(config, options={"evalue": 1e-5}),
        lambda config: replace(config, options={**config.options, "seg": "yes"}),
        lambda config: replace(config, options={"evalue": "1e-05", "max_target_seqs": 50}),
        lambda config: replace(config, targets=frozenset(list(config.targets)[:1])),
        lambda config: replace(config, targets=config.targets | {TargetName("swissprot", "other")}),
        lambda config: replace(config, targets=frozenset({TargetName("swissprot:uniprot_sprot", "x")})),
    ],
)
def test_any_change_of_the_configuration_changes_the_job(change: Callable[[JobConfig], JobConfig]) -> None:
    assert change(_CONFIG).query_id(["0" * 32]) != _CONFIG.query_id(["0" * 32])


def test_names_of_targets_do_not_run_into_each_other() -> None:
    one = replace(_CONFIG, targets=frozenset({TargetName("a:b", "c")}))
    other = replace(_CONFIG, targets=frozenset({TargetName("a", "b:c")}))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    "keys",
    [
        ResultKeys("blastx", "2.12.0+", {"evalue": 1e-5}, ["f" * 32]),
        ResultKeys("blastp", "2.13.0+", {"evalue": 1e-5}, ["f" * 32]),
        ResultKeys("blastp", "2.12.0+", {"evalue": 1e-6}, ["f" * 32]),
        ResultKeys("blastp", "2.12.0+", {"evalue": 1e-5}, ["e" * 32]),
        ResultKeys("blastp", "2.12.0+", {"evalue": 1e-5}, ["f" * 32, "e" * 32]),
    ],
)
def test_everything_that_decides_a_result_is_in_its_key(keys: ResultKeys) -> None:
    assert keys.search != _KEYS.search
    assert keys.key(b"MKV") != _KEYS.key(b"MKV")


def test_case_counts_in_result_keys_only_if_it_masks() -> None:
    masking = ResultKeys("blastp", "2.12.0+", {"evalue": 1e-5}, ["f" * 32], keeps_case=True)
    assert _KEYS.key(b"mkV") == _KEYS.key(b"MKV")
    assert masking.key(b"mkV") != masking.key(b"MKV")


def test_report_id_depends_on_job_and_formatting() -> None:
    ids = {report_id(job, formatting) for job in ("a", "b") for formatting in ({}, {"format": 5}, {"format": 6})}
    assert len(ids) == 6
    assert report_id("a", {"format": 6, "fields": "std"}) == report_id("a", {"fields": "std", "format": 6})


def test_ids_are_pinned() -> None:
    """They are in databases and links: whatever changes them needs a new schema number."""
    text = _fasta([("sp|P12345|ONE first", "MKVLAAGIVG"), ("two", "ACDEFGHIKL")])
    assert _CONFIG.digest == "e4a54baeb1461f7534cf3b4fa4232c80"
    assert _query_id(text) == "4728468d297b81ef5c2c6e32c0e6c00d"
    sequences = [sequence_digest(sequence.canonical) for sequence in _read(text)]
    assert list(_CONFIG.child_ids(sequences)) == [
        "e3a2e7480e8a95573d489c3f0f71065c",
        "a5225048a44f4b09905f84f7176a0784",
    ]
    assert _KEYS.search == "0262af1adea1dc36e8435236e402c1f2"
    assert _result_keys(text) == ["ac62e881049e701f56009e05ba3098b5", "a0d029796efea4aa7d3230427c0132a8"]
    assert report_id("0" * 32, {"format": 5}) == "ae2f490c992e7fc98222d63aaabaa550"
