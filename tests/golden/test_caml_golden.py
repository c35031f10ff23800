"""CAML equals its public code: networks, losses, memory, the step, and two training iterations."""

import pytest
import torch

import sgrs_core.networks.memory
from sgrs_core.data.batch import Batch
from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses import caml as losses
from sgrs_core.losses.mcnet_plus import sharpen
from sgrs_core.methods import caml
from sgrs_core.methods.caml import CamlSettings, CorrelationAwareMutualLearning, rows_as_read
from sgrs_core.networks.caml import CrossSampleAttention, View, view
from sgrs_core.networks.memory import ScanMemory
from tests.golden.closeness import close, gradient_close, scan_close, within
from tests.golden.stored import Factors, copy_into, fill, flattened, numbered

NAMES = ("vanilla", "auxiliary")


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("caml")


def new_method(filters: int, dropout: float = 0.5, **settings) -> CorrelationAwareMutualLearning:
    run = TrainingSettings(base_filters=filters, dropout=dropout)
    return CorrelationAwareMutualLearning(run, CamlSettings(attention_dropout=0, **settings))


def in_order(method, kind: str) -> list[tuple[str, torch.Tensor]]:
    """The method's parameters or buffers as the numbers count them, attention after its encoder."""
    parts = (
        method.network.encoder,
        method.auxiliary.encoder,
        method.network.decoder,
        method.auxiliary.decoder,
        method.heads_v,
        method.heads_a,
    )
    ordered = []
    for part in parts:
        named = list(getattr(part, f"named_{kind}")())
        ordered += sorted(named, key=lambda item: "within" in item[0] or "between" in item[0])
    return ordered


def load(named, arrays, prefix: str) -> None:
    copy_into((tensor for _, tensor in named), numbered(arrays, prefix))


# The networks at full size


@pytest.fixture(scope="module")
def full_size(arrays):
    method = new_method(filters=16)
    fill(in_order(method, "parameters"))
    return method.eval()


def test_the_methods_size(full_size, arrays):
    parameters = in_order(full_size, "parameters")
    assert sum(p.numel() for _, p in parameters) == arrays["network_n_parameters"]
    assert len(parameters) == len(list(full_size.parameters())) == arrays["network_n_tensors"]


def test_outputs_and_features_of_both_networks_in_eval_mode(full_size, arrays):
    with torch.no_grad():
        for name, each in zip(NAMES, full_size.views(arrays["input"]), strict=True):
            close(each.logits, arrays[f"network_output_{name}"])
            every4 = each.features[:, :, ::4, ::4, ::4]
            close(every4, arrays[f"network_features_{name}_every4"])


def test_attention(arrays):
    features = arrays["attention_input"]
    attention = CrossSampleAttention(features.shape[1], dropout=0)
    fill(attention.named_parameters())
    with torch.no_grad():
        close(attention(features), arrays["attention_output"])
    assert torch.equal(attention.eval()(features), features)


# The networks at the smallest size, and with given dropout


@pytest.fixture
def small(arrays):
    """The stored state, every dropout off."""

    def build(**settings) -> CorrelationAwareMutualLearning:
        method = new_method(filters=arrays["p000"].shape[0], dropout=0, **settings)
        load(in_order(method, "parameters"), arrays, "p")
        load(in_order(method, "buffers"), arrays, "b")
        return method

    return build


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_both_networks_with_given_dropout(mode, small, arrays):
    method = small().train(mode == "train")
    for name, network in zip(NAMES, (method.network, method.auxiliary), strict=True):
        network.encoder.dropout = Factors(arrays[f"net_dropout_bottleneck_{name}"])
        network.decoder.dropout = Factors(arrays[f"net_dropout_output_{name}"])
        network.train(mode == "train")
        with torch.no_grad():
            logits, features = view(network, arrays["net_input"])
        for kind, value in (("output", logits), ("features", features)):
            close(value[:, :, ::2, ::2, ::2], arrays[f"net_{kind}_{name}_{mode}_every2"])


def test_each_layer_of_the_attention(small, arrays):
    attention = small().auxiliary.encoder.stage4[-1]
    sequence = arrays["attention2_input"].flatten(2).movedim(2, 0)
    with torch.no_grad():
        within = attention.within(sequence).movedim(0, 2)
        close(within, arrays["attention2_intra"].flatten(2))
        close(attention(arrays["attention2_input"]), arrays["attention2_inter"])


def test_the_vanilla_network_predicts_whole_scans(small, arrays):
    method = small().eval()
    method.network.decoder.output.bias.data.copy_(arrays["infer_output_bias"])
    image = arrays["infer_image"].numpy()
    with torch.no_grad():
        score = foreground_score(method.predict, image, (16, 16, 16), (6, 6, 4))
    scan_close(score, arrays["infer_score"], arrays["infer_label"])


# Schedules, sharpening, correlation


@pytest.mark.parametrize("blocks", [40, 20, 15])
def test_ramps(blocks, arrays):
    method = new_method(filters=1, ramp_share=blocks / 40)
    weights = [method.weight(int(iteration)) for iteration in arrays["ramp_iterations"]]
    close(weights, arrays[f"ramp_weights_{blocks}"], floor=0)


def test_sharpening(arrays):
    sharpened = sharpen(arrays["sharpen_input"], CamlSettings().temperature)
    close(sharpened, arrays["sharpen_output"], floor=1e-12)


def test_correlation_and_its_gradients(arrays):
    vectors = [arrays[f"correlation_features_{name}"].clone().requires_grad_() for name in NAMES]
    chosen = losses.most_confident(
        arrays["correlation_probability"],
        arrays["correlation_label"],
        2,
        int(arrays["correlation_filtered"]),
    )
    memories = [arrays["memory0"], arrays["memory1"]]
    a_v, a_a = losses.correlations([each[chosen] for each in vectors], memories, 0.1)
    close(a_v, arrays["correlation_vanilla"])
    loss = losses.omni_correlation(a_v, a_a)
    close(loss, arrays["loss_correlation"])
    loss.backward()
    for name, each in zip(NAMES, vectors, strict=True):
        gradient_close(each.grad, arrays[f"grad_correlation_features_{name}"])


@pytest.mark.parametrize(
    ("situation", "labels", "present"),
    [("no_memory0", "a", (False, True)), ("single_feature", "b", (True, True)),
     ("no_memory", "a", (False, False))],
)  # fmt: skip
def test_when_the_correlation_is_available(situation, labels, present, arrays):
    number = int(arrays["available_number_filtered"])
    label = arrays[f"available_label_{labels}"]
    chosen = losses.most_confident(arrays["available_probability"], label, 2, number)
    vectors = [arrays[f"available_features_{name}"][chosen] for name in NAMES]
    memories = [arrays[f"available_memory{c}"] if present[c] else None for c in range(2)]
    a_v, a_a = losses.correlations(vectors, memories, 0.1)
    assert list(a_v.shape) == arrays[f"available_{situation}_correlation_shape"].tolist()
    assert bool(len(a_v)) == arrays[f"available_{situation}"]
    expected = arrays[f"available_{situation}_loss_o"]
    close(losses.omni_correlation(a_v, a_a), expected)


# The memory


def given_draws(monkeypatch, draws) -> None:
    remaining = list(draws)
    monkeypatch.setattr(
        sgrs_core.networks.memory,
        "sample_without_replacement",
        lambda number, total: remaining.pop(0),
    )


def test_the_memorys_order_and_when_a_class_is_absent(arrays, monkeypatch):
    number = int(arrays["bank_number"])
    longest = max(len(arrays[f"bank_features{k}"]) for k in range(2))
    memory = ScanMemory(2, max(longest, number), arrays["bank_features0"].shape[1])
    for k, scan in enumerate(arrays["bank_scan_index"].tolist()):
        features, labels = arrays[f"bank_features{k}"], arrays[f"bank_labels{k}"]
        for c in range(2):
            mine = features[labels == c]
            memory.store(scan, c, mine, len(mine))
    given_draws(monkeypatch, [arrays[f"bank_draw{c}"] for c in (0, 1) if f"bank_draw{c}" in arrays])
    memory0, memory1 = memory.sample(number)
    assert torch.equal(memory0, arrays["bank_memory0"])
    assert (memory1 is None) == bool(arrays["bank_memory1_is_none"])


# The step with given network outputs


@pytest.fixture
def given_case(arrays):
    """The method at the stored heads, its memory large enough to keep whole entries."""

    def build(**settings) -> CorrelationAwareMutualLearning:
        method = new_method(
            filters=arrays["case0_features_vanilla"].shape[1],
            memory_number=int(arrays["case_memory_number"]),
            voxel_number=int(arrays["case_number_filtered"]),
            **settings,
        )
        voxels = arrays["case0_labels"].numel()
        method.memory = ScanMemory(2, voxels, method.settings.width)
        load(heads(method, "parameters"), arrays, "head_p")
        load(heads(method, "buffers"), arrays, "head_b")
        return method

    return build


def heads(method, kind: str):
    return [
        item
        for part in (method.heads_v, method.heads_a)
        for item in getattr(part, f"named_{kind}")()
    ]


def stored_entry(memory: ScanMemory, scan: int, label: int) -> torch.Tensor:
    count = int(memory.counts[scan, label])
    return memory.vectors[scan * memory.classes + label, :count]


def case_step(method, arrays, t: int, monkeypatch):
    """One step with everything recorded put in: outputs of the networks, draws of the memory."""
    views = [
        View(
            *(
                arrays[f"case{t}_{k}_{name}"].clone().requires_grad_()
                for k in ("logits", "features")
            )
        )
        for name in NAMES
    ]
    labels = arrays[f"case{t}_labels"]
    images = torch.zeros(len(views[0].logits), 1, *labels.shape[1:])
    given_draws(monkeypatch, [arrays[f"case{t}_draw{c}"] for c in range(2)])
    seen = {}

    def sample(number):
        seen["memories"] = ScanMemory.sample(method.memory, number)
        return seen["memories"]

    def correlations(*args):
        seen["correlations"] = losses.correlations(*args)
        return seen["correlations"]

    monkeypatch.setattr(method, "views", lambda images: views)
    monkeypatch.setattr(method.memory, "sample", sample)
    monkeypatch.setattr(caml, "correlations", correlations)
    n = len(labels)
    batch = Batch(images[:n], labels, images[n:], arrays[f"case{t}_scan_index"].tolist())
    output = method.step(batch, method.training_settings.ramp_iterations)
    method.zero_grad()
    output.loss.backward()
    return output, views, seen


def test_the_step_with_given_outputs_in_two_iterations(given_case, arrays, monkeypatch):
    method = given_case()
    for t in range(2):
        output, views, seen = case_step(method, arrays, t, monkeypatch)
        for name, term in (("s", "labelled_dice"), ("c", "consistency"), ("o", "correlation")):
            close(output.terms[term], arrays[f"case{t}_loss_{name}"])
        close(output.loss, arrays[f"case{t}_loss"])
        agree = output.observed["region_agreement"]
        assert torch.equal(agree.long(), arrays[f"case{t}_agree"])
        labels = arrays[f"case{t}_labels"]
        for b, scan in enumerate(arrays[f"case{t}_scan_index"].tolist()):
            features = arrays[f"case{t}_bank_features_scan{scan}"]
            entry = arrays[f"case{t}_bank_labels_scan{scan}"]
            correct = arrays[f"case{t}_correct"][b].bool()
            assert torch.equal(labels[b][correct], entry)
            for c in range(2):
                assert method.memory.counts[scan, c] == (entry == c).sum()
                close(stored_entry(method.memory, scan, c), features[entry == c])
        for c, memory in enumerate(seen["memories"]):
            close(memory, arrays[f"case{t}_memory{c}"])
        for name, each, correlation in zip(NAMES, views, seen["correlations"], strict=True):
            close(correlation, arrays[f"case{t}_correlation_{name}"])
            gradient_close(each.logits.grad, arrays[f"case{t}_grad_logits_{name}"])
            gradient_close(each.features.grad, arrays[f"case{t}_grad_features_{name}"])
        norms = torch.stack([p.grad.norm() for _, p in heads(method, "parameters")])
        gradient_close(norms, arrays[f"case{t}_head_grad_norms"])
        buffers = flattened(b for _, b in heads(method, "buffers"))
        close(buffers, arrays[f"case{t}_head_buffers"])


def test_the_corrected_layout_of_the_memory(given_case, arrays, monkeypatch):
    method = given_case(memory_layout="corrected")
    case_step(method, arrays, 0, monkeypatch)
    (name,) = (each for each in arrays if each.endswith("_corrected"))
    scan = int(name.removeprefix("case0_bank_features_scan").removesuffix("_corrected"))
    labels = arrays[f"case0_bank_labels_scan{scan}"]
    for c in range(2):
        expected = arrays[name][labels == c]
        published = arrays[name.removesuffix("_corrected")][labels == c]
        close(stored_entry(method.memory, scan, c), expected)
        assert (expected - published).abs().max() > 0.1 * expected.abs().max()


def test_the_two_layouts_read_the_same_numbers(arrays):
    features = arrays["case0_features_auxiliary"][:2]
    published, corrected = (rows_as_read(features, each) for each in ("published", "corrected"))
    assert not torch.equal(published, corrected)
    assert torch.equal(published.flatten().sort().values, corrected.flatten().sort().values)


# Two training iterations


def test_two_training_iterations(small, arrays, monkeypatch):
    method = small(
        memory_number=int(arrays["step_memory_number"]),
        voxel_number=int(arrays["step_number_filtered"]),
    )
    optimizers = method.optimizers()
    shapes = []
    original = losses.correlations

    def correlations(*args):
        result = original(*args)
        shapes.append(list(result[0].shape))
        return result

    monkeypatch.setattr(caml, "correlations", correlations)
    for t in range(2):
        memories = [arrays[f"step{t}_memory{c}"] for c in range(2)]
        monkeypatch.setattr(method.memory, "sample", lambda number, given=memories: given)
        images, labels = arrays[f"step{t}_images"], arrays[f"step{t}_labels"]
        scans = arrays[f"step{t}_scan_index"].tolist()
        n = len(labels)
        method.train()
        output = method.step(
            Batch(images[:n], labels, images[n:], scans), method.training_settings.ramp_iterations
        )
        tolerance = (1e-4, 1e-3)[t]
        for name, term in (("s", "labelled_dice"), ("c", "consistency"), ("o", "correlation")):
            close(output.terms[term], arrays[f"step{t}_loss_{name}"], tolerance)
        close(output.loss, arrays[f"step{t}_loss"], tolerance)
        correct = method.memory.counts[scans].sum(dim=1)
        within(correct, arrays[f"step{t}_correct_count"], 1e-3, absolute=3)
        agree = output.observed["region_agreement"].sum()
        within(agree, arrays[f"step{t}_agree_count"], 1e-3, absolute=3)
        assert shapes[t] == arrays[f"step{t}_correlation_shape"].tolist()
        optimizers[0].zero_grad(set_to_none=True)
        output.loss.backward()
        if t == 0:
            norms = torch.stack([p.grad.norm() for _, p in in_order(method, "parameters")])
            # A ReLU on the edge shows in a weight or two.
            gradient_close(norms, arrays["step0_grad_norms"], share=0.98)
        optimizers[0].step()
    parameters = flattened(p for _, p in in_order(method, "parameters"))[::16]
    buffers = flattened(b for _, b in in_order(method, "buffers"))
    within(parameters, arrays["step_params_end_every16"], absolute=2e-4, share=0.995)
    close(buffers, arrays["step_buffers_end"])
