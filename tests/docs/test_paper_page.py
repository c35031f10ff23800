"""docs/paper.md: what it says of the paper's tables follows from config/published.csv."""

import re
from collections.abc import Callable, Iterator

import pandas
import pytest

from tests.docs.pages import PROJECT, text_of

PUBLISHED = pandas.read_csv(PROJECT / "config/published.csv")
PAGE = text_of("docs/paper.md")
WORDS = re.sub(r"\s+", " ", PAGE)  # a sentence may go on in the next line

METRICS = {"dice": "Dice", "jaccard": "Jaccard", "hd95": "95HD", "asd": "ASD"}
DISTANCES = ("hd95", "asd")
DATASETS = {2: "LA", 3: "Pancreas-CT", 4: "BraTS2019"}  # by the table that compares all methods
NAMES = {
    "vnet": "V-Net", "dtc": "DTC", "urpc": "URPC", "ssnet": "SS-Net", "mcnet_plus": "MC-Net+",
    "caml": "CAML", "cobionet": "Co-BioNet", "bcp": "BCP", "mcf": "MCF",
}  # fmt: skip
FEW = {2: (4, 8), 3: (3, 6), 4: (12, 25)}  # labelled scans at 5% and 10%
ALL = {2: 80, 3: 62, 4: 250}

# Numbers with two decimals that the paper's tables cannot give: what its text says, what stands in
# the comparators' repositories, and constants of the released code.
FROM_ELSEWHERE = {"9.55", "21.18", "88.55", "79.62", "7.49", "0.75", "0.99"}


def row(table: int, variant: str, labelled: int) -> pandas.Series:
    """One printed row."""
    same = (PUBLISHED["variant"] == variant) & (PUBLISHED["labelled"] == labelled)
    (found,) = PUBLISHED[same & (PUBLISHED["table"] == table)].to_dict("records")
    return pandas.Series(found)


def number(table: int, variant: str, labelled: int, metric: str = "dice") -> float:
    return row(table, variant, labelled)[metric]


def four(table: int, variant: str, labelled: int) -> str:
    """A row as the page writes it."""
    found = row(table, variant, labelled)
    return ", ".join(f"{found[metric]:.2f}" for metric in METRICS)


def minus(greater: float, less: float) -> str:
    return f"{greater:.2f} − {less:.2f} = {greater - less:.2f}"


def compared(table: int, labelled: int) -> pandas.DataFrame:
    """All methods' rows with so many labels, SGRS-Net's among them."""
    return PUBLISHED[(PUBLISHED["table"] == table) & (PUBLISHED["labelled"] == labelled)]


def better_than(own: float, rows: pandas.DataFrame, metric: str) -> pandas.DataFrame:
    """The rows that are better in a metric, best first, equal ones by name."""
    smaller = metric in DISTANCES
    others = rows[rows["variant"] != "sgrs"].assign(name=lambda them: them["variant"].map(NAMES))
    better = others[others[metric] < own if smaller else others[metric] > own]
    return better.sort_values([metric, "name"], ascending=[smaller, True])


def where_not_best() -> Iterator[str]:
    """The lines of the page's table, made from the printed numbers."""
    for table, dataset in DATASETS.items():
        for labelled, percent in zip(FEW[table], (5, 10), strict=True):
            for metric, title in METRICS.items():
                own = number(table, "sgrs", labelled, metric)
                better = better_than(own, compared(table, labelled), metric)
                if len(better):
                    named = zip(better["name"], better[metric], strict=True)
                    listed = ", ".join(f"{name} {value:.2f}" for name, value in named)
                    yield f"| {dataset}, {percent}% | {title} | {own:.2f} | {listed} |"


def below_all_labels(table: int) -> str:
    full = number(table, "vnet", ALL[table])
    gaps = [full - number(table, "sgrs", labelled) for labelled in FEW[table]]
    return f"{gaps[0]:.2f} and {gaps[1]:.2f}"


def table6(labelled: int) -> list[float]:
    """Its six values of Dice, in order."""
    return sorted(compared(6, labelled)["dice"])


def against_all_at_ten_percent() -> list[str]:
    """Pancreas-CT: whose ASD at 10% is better than SGRS-Net's at 5%, Co-BioNet left out."""
    better = better_than(number(3, "sgrs", 3, "asd"), compared(3, 6), "asd")
    better = better[better["variant"] != "cobionet"]
    return [f"{line.name} ({line.asd:.2f})" for line in better.itertuples(index=False)]


SENTENCES: dict[str, Callable[[], list[str]]] = {
    "gain over MCF": lambda: [minus(number(3, "sgrs", 3), number(3, "mcf", 3))],
    "gain over CAML and BCP": lambda: [
        f"CAML ({number(2, 'caml', 4):.2f})",
        f"+{number(2, 'sgrs', 4) - number(2, 'caml', 4):.2f}",
        minus(number(2, "sgrs", 4), number(2, "caml", 4)),
        f"BCP stands at {number(2, 'bcp', 4):.2f}",
        minus(number(2, "sgrs", 4), number(2, "bcp", 4)),
    ],
    "match or surpass": lambda: [
        f"{four(3, 'cobionet', 6)} against {four(3, 'sgrs', 3)}",
        *against_all_at_ten_percent(),
    ],
    "shares of 62 scans": lambda: [f"{3 / 62:.1%} and {6 / 62:.1%}"],
    "Table 5's last row": lambda: [
        "Dice {}, Jaccard {}, 95HD {}, ASD {}".format(
            *four(5, "baseline+ma+mt+se_rle", 4).split(", ")
        ),
        f"{four(2, 'sgrs', 4)} in Tables 2, 6 and 7",
    ],
    "SGRS-Net's ASD on LA": lambda: [
        f"{number(2, 'sgrs', 4, 'asd'):.2f} at 5% and {number(2, 'sgrs', 8, 'asd'):.2f} at 10%",
        "{:.2f} and {:.2f} in Table 5".format(
            *(number(5, "baseline+ma+mt+se_rle", labelled, "asd") for labelled in (4, 8))
        ),
    ],
    "an ASD twice": lambda: [
        f"{number(5, 'baseline', 4, 'asd'):.2f} for `baseline` |",
        f"{number(5, 'baseline+ma', 4, 'asd'):.2f} for `baseline+ma` too, whose 95HD is "
        f"{number(5, 'baseline+ma', 4, 'hd95'):.2f} against {number(5, 'baseline', 4, 'hd95'):.2f}",
    ],
    "Co-BioNet's and SS-Net's rows": lambda: [
        f"| Co-BioNet, LA, 5%, 95HD | {number(2, 'cobionet', 4, 'hd95'):.2f} |",
        f"| SS-Net, LA, 10% | {four(2, 'ssnet', 8)} |",
    ],
    "rows of others": lambda: [
        f"DTC, LA, 10%: {four(2, 'dtc', 8)}",
        f"SS-Net, LA, 5%: {four(2, 'ssnet', 4)}",
        f"MC-Net+, LA, 10%: {four(2, 'mcnet_plus', 8)}",
        f"MC-Net+, Pancreas-CT, 10%: {four(3, 'mcnet_plus', 6)}",
        "Dice " + ", ".join(
            f"{number(table, 'cobionet', labelled):.2f}"
            for table in (2, 3) for labelled in FEW[table]
        ),
    ],
    "Table 6": lambda: [
        f"five of the six rows lie between {table6(8)[0]:.2f} and {table6(8)[4]:.2f}, within "
        f"{table6(8)[4] - table6(8)[0]:.2f} points; the sixth, the method, has "
        f"{number(2, 'sgrs', 8):.2f}",
        f"all six lie within {table6(4)[5] - table6(4)[0]:.2f} points",
        "two different rows have a Dice of "
        f"{next(one for one in table6(4) if table6(4).count(one) == 2):.2f}",
    ],
    "Table 7": lambda: [
        "Mixing is {:.2f} and {:.2f} points above the two flips at 5%, {:.2f} and {:.2f} at "
        "10%".format(
            *(number(7, "ma", labelled) - number(7, flip, labelled)
              for labelled in (4, 8) for flip in ("flip_h", "flip_v"))
        ),
    ],
    "Table 5, 5%": lambda: [
        "Dice from {:.2f} to {:.2f} and worsens both distances: 95HD from {:.2f} to {:.2f}, ASD "
        "from {:.2f} to {:.2f}".format(
            *(number(5, variant, 4, metric) for metric in ("dice", "hd95", "asd")
              for variant in ("baseline+mt", "baseline+ma+mt"))
        ),
        f"reaches the ASD of {number(5, 'baseline+mt', 4, 'asd'):.2f}",
        f"with its {number(5, 'baseline+ma+mt+se_rle', 4, 'asd'):.2f}",
    ],
    "beside all labels": lambda: [
        f"{below_all_labels(2)} points on LA (5%, 10%), {below_all_labels(3)} on Pancreas-CT, "
        f"{below_all_labels(4)} on BraTS2019",
    ],
    "below the supervised network": lambda: [
        f"DTC ({number(4, 'dtc', 12):.2f}), Co-BioNet ({number(4, 'cobionet', 12):.2f}) and MCF "
        f"({number(4, 'mcf', 12):.2f}) at 5%, and of Co-BioNet ({number(4, 'cobionet', 25):.2f}) "
        "at 10%, is below that of V-Net with the same labels, "
        f"{number(4, 'vnet', 12):.2f} and {number(4, 'vnet', 25):.2f}",
    ],
}  # fmt: skip


@pytest.mark.parametrize("about", SENTENCES)
def test_a_sentence_says_what_the_printed_numbers_say(about):
    for said in SENTENCES[about]():
        assert said in WORDS, said


def test_the_page_lists_every_comparison_in_which_the_method_is_not_best():
    heading, after = "| data set, labels | metric | SGRS-Net | better |", "V-Net stands in three of"
    lines = PAGE.split(heading)[1].split(after)[0].strip().splitlines()[1:]
    expected = list(where_not_best())
    assert lines == expected
    assert sum("V-Net" in line for line in lines) == 3
    regions, distances = ([line for line in expected if ("95HD" in line or "ASD" in line) is far]
                          for far in (False, True))  # fmt: skip
    assert (len(regions), len(distances)) == (0, 12 - 7)
    assert "in all 12 comparisons of Dice and Jaccard and in 7 of 12 of 95HD and ASD" in WORDS


def test_every_number_of_the_page_is_one_that_is_checked_here():
    """What a sentence above does not give is known to come from elsewhere."""
    checked = " ".join(
        [*where_not_best(), *(said for make in SENTENCES.values() for said in make())]
    )
    two_decimals = re.compile(r"(?<![\d.])\d+\.\d\d(?![\d.])")
    assert set(two_decimals.findall(PAGE)) - set(two_decimals.findall(checked)) == FROM_ELSEWHERE


def test_no_method_but_those_named_has_a_dice_below_the_supervised_one():
    below = {
        (table, labelled, variant)
        for table in DATASETS
        for labelled in FEW[table]
        for variant, dice in compared(table, labelled)[["variant", "dice"]].itertuples(index=False)
        if dice < number(table, "vnet", labelled)
    }
    assert below == {(4, 12, "dtc"), (4, 12, "cobionet"), (4, 12, "mcf"), (4, 25, "cobionet")}


def test_tables_2_6_and_7_agree_on_the_method_and_table_5_disagrees_at_five_percent_alone():
    rows = {5: "baseline+ma+mt+se_rle", 6: "omega=con,theta=nr,delta=none", 7: "ma"}
    differs = {
        (table, labelled)
        for table, variant in rows.items()
        for labelled in (4, 8)
        if four(table, variant, labelled) != four(2, "sgrs", labelled)
    }
    assert differs == {(5, 4)}


def test_no_row_of_table_5_with_mixing_reaches_the_asd_of_the_mean_teacher_alone():
    mixed = PUBLISHED[(PUBLISHED["table"] == 5) & PUBLISHED["variant"].str.contains("ma")]
    assert (mixed[mixed["labelled"] == 4]["asd"] > number(5, "baseline+mt", 4, "asd")).all()


def test_what_is_called_consistent_is():
    dice = PUBLISHED["dice"] / 100
    assert len(PUBLISHED) == 91
    assert (PUBLISHED["jaccard"] / 100 >= dice / (2 - dice) - 1e-4).all()  # both rounded
    assert (PUBLISHED["asd"] <= PUBLISHED["hd95"]).all()
    for labelled in (4, 8):
        con = four(6, "omega=con,theta=con,delta=con", labelled)
        assert four(5, "baseline+ma+mt", labelled) == con
    semi = PUBLISHED[PUBLISHED["unlabelled"] > 0]
    scans = (semi["labelled"] + semi["unlabelled"]).groupby(semi["dataset"]).unique()
    assert {name: list(total) for name, total in scans.items()} == {
        "la": [80], "pancreas": [62], "brats2019": [250],
    }  # fmt: skip
