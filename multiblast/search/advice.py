"""What a user should know of a search before it runs, though nothing is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from multiblast.options import Options, added_program

_FEW_TARGETS = 5  # below this, BLAST+ itself warns
_SHORT_WORD = 7  # of nucleotides: shorter ones are found nearly everywhere by chance
_LOW_THRESHOLD = 9  # of protein words of usual length
_SHORT = {"blastp": 30, "blastn": 50}  # letters, as the program's own short tasks have it


def advice(options: Options, lengths: Sequence[int]) -> Iterator[str]:
    """Yield caveats of a search for sequences of these lengths in letters."""
    if added_program(options.program):
        return  # what is known of BLAST+ does not hold
    most = options.most_targets
    if most < _FEW_TARGETS:
        yield (
            f"max_target_seqs {most} does not mean the best {most}: it limits the search early, and better hits may be "
            "lost; search with 5 or more, and cut the report instead"
        )
    yield from _slow(options)
    limit = _SHORT.get(options.program, 0)
    task = options.chosen_task
    short = sum(length < limit for length in lengths)
    if short and not task.endswith("-short"):
        noun = "sequence is" if short == 1 else "sequences are"
        yield (
            f"{short:,} {noun} shorter than {limit} letters, for which {task or options.program} finds little: "
            f"task {options.program}-short is meant for them"
        )


def _slow(options: Options) -> Iterator[str]:
    """Yield what makes a search take many times as long as usual; measured with blastp and blastn 2.12.0."""
    word, threshold = options.value("word_size"), options.value("threshold")
    if options.value("use_sw_tback"):
        yield "use_sw_tback takes 2 to 10 times as long: each hit is aligned again by full Smith-Waterman"
    if options.program == "blastn" and word is not None and word < _SHORT_WORD:
        yield (
            f"word_size {word} is extremely slow: each letter less makes about four times as many places to look at; "
            "7, as of task blastn-short, is the shortest that is of use with a large database"
        )
    if threshold is not None and threshold < _LOW_THRESHOLD:
        yield (
            f"threshold {threshold:g} takes many times as long, since far more words count as similar; "
            "the usual value is 11 or more, and 9 finds nearly all that a lower one does"
        )
    if options.value("num_iterations") == 0:
        yield "num_iterations 0 searches until nothing new is found, which may take dozens of rounds: 5 is usual"
