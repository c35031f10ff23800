"""One HTML file that shows an experiment: it needs no network and opens from disk.

contents.py: what goes in, as a plan says; runs.py: what the runs left; sheets.py: sortable tables;
documents.py: pages of docs/; page.py: the page itself, from templates/.
"""

GENERAL_PAGES = ("tables.md", "reproducibility.md", "paper.md")  # of docs/, in every report
