"""Find the first sequence of a FASTA file with each query of another, but with short ones; of some say nothing."""

import sys
import time
from pathlib import Path

SHORT = 5

queries, database, columns, pause_s = sys.argv[1:]
with Path(database).open() as file:
    subject = file.readline()[1:].split()[0]
name = ""
for line in Path(queries).read_text().splitlines():
    if line.startswith(">"):
        name = line[1:]
        continue
    time.sleep(float(pause_s))
    if line == "WWWWWW":
        continue
    values = dict.fromkeys(columns.split(","), "1") | {"query": name, "sseqid": "*" if len(line) < SHORT else subject}
    values |= {"qlen": str(len(line)), "qseq": line[0], "sseq": line[0]}
    sys.stdout.write("\t".join(values[column] for column in columns.split(",")) + "\n")
    sys.stdout.flush()
