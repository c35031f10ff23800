"""Whether an experiment's plan asks the methods for what they can do."""

import inspect

from sgrs_core.experiment.configuration import ConfigError, Place, checked
from sgrs_core.experiment.own_methods import is_own, with_its_kind
from sgrs_core.experiment.plan import Entry, Plan, variant_of
from sgrs_core.experiment.schema import Figure, Table
from sgrs_core.experiment.splits import SplitLists, is_scan_name
from sgrs_core.methods import method_class
from sgrs_core.methods.contract import PAGE


def check_methods(plan: Plan) -> None:
    """Check each method, and each row's settings with its method; raises ConfigError.

    The files of methods of one's own are run by this.
    """
    for name, method in plan.methods.items():
        place = plan.method_places[name]
        try:
            kind = method_class(method.method)
        except ValueError as error:
            raise ConfigError(f"{place.below('method')} = {method.method!r}: {error}") from None
        checked(kind.Settings, method.settings, place.below("settings"))
    for dataset, settings in plan.experiment.datasets.items():
        for name, given in settings.methods.items():
            kind = method_class(plan.methods[name].method)
            checked(kind.Settings, given, plan.places[f"datasets.{dataset}.methods.{name}"])
    for name, sheet in plan.sheets.items():
        for entry in plan.entries(name):
            _check_row(entry, sheet, plan, plan.places[name])


def _check_row(entry: Entry, sheet: Table | Figure, plan: Plan, place: Place) -> None:
    """The method takes the row's settings, and has the unlabelled scans that it needs."""
    row, method = entry.row, plan.methods[entry.row.method]
    kind = method_class(method.method)
    settings = plan.settings(sheet.dataset, row, entry.labelled)
    checked(kind.Settings, settings, place.below("rows", row.variant, "settings"))
    if not is_scan_name(variant := variant_of(row)) or "," in variant:
        raise ConfigError(
            f"{place.below('rows', row.variant)}: what it changes makes its folder's name "
            f"{variant!r}: allowed are values without / \\ {{ }} * ' \" and commas; give the "
            "method such settings under a name of its own, in the experiment's `methods`"
        )
    try:
        kind.check(plan.run(entry.points[0]).training, kind.Settings(**settings))
    except ValueError as error:
        raise ConfigError(f"{place.below('rows', row.variant)}: {error}") from None
    except Exception as error:  # whatever someone's file raises
        if not is_own(method.method):
            raise
        raised = with_its_kind(f"check of {kind.__name__} raised", error)
        raise ConfigError(f"{inspect.getfile(kind)}: {raised}; {PAGE}") from error
    swept = isinstance(sheet, Figure) and sheet.kind == "threshold"
    if swept and "tau" not in kind.Settings.model_fields:
        raise ConfigError(
            f"{place.below('rows', row.variant, 'method')} = {row.method!r}: kind = threshold "
            "shows methods that have a setting tau, which this one has not"
        )
    chosen = plan.selections(sheet.dataset)
    for selection in kind.trained_on(kind.Settings(**settings)) - set(chosen):
        raise ConfigError(
            f"{place}: selections = {chosen} (row {row.variant}, recipe "
            f"{plan.recipe_name(sheet.dataset, row)}): {row.method} trains on from weights that "
            f"{selection} chooses; list it in selections, or set recipe: shared"
        )
    lists = min(
        (plan.splits[fold] for fold in plan.folds(sheet.dataset)), key=SplitLists.most_labelled
    )
    if kind.uses_unlabelled and entry.labelled > lists.most_labelled():
        raise ConfigError(
            f"{place.below('labelled')} = {entry.labelled} (row {row.variant}): allowed are up to "
            f"{lists.most_labelled()} of the {len(lists.train)} training scans of {sheet.dataset}, "
            f"because {method.method} needs unlabelled ones"
        )
