"""Pre-training: its loss, its schedule, and going on after a kill as if nothing had happened."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.demo import pretrain
from core.demo.base_files import BASE, load_tokenizer, model_card, new_model, write_model
from core.demo.pretrain import (
    Plan,
    contrastive_loss,
    device_name,
    encode_text,
    learning_rate,
    train,
)
from core.demo.web import Web, drawn_web
from core.demo.world import DOMAINS, render

PLAN = Plan(steps=4, batch=16, warmup_steps=2)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    return drawn_web(
        tmp_path_factory.mktemp("cache"),
        split="pretrain",
        per_class=dict.fromkeys(DOMAINS, 1),
        seed=0,
        workers=1,
    )


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("fresh")
    write_model(directory, new_model())
    return load_tokenizer(directory)


def test_the_web_holds_the_rendered_pictures(web: Web) -> None:
    at = 60
    drawn = render(DOMAINS[web.domains_N[at]], "pretrain", int(web.labels_N[at]), 0)
    assert np.array_equal(web.images_NHWC[at], np.asarray(drawn))
    assert len(web.captions_N) == len(web.labels_N) == 25 * len(DOMAINS)


def test_with_only_the_diagonal_matching_the_loss_is_clips() -> None:
    torch.manual_seed(0)
    image_BD, text_BD = (F.normalize(torch.randn(6, 8), dim=-1) for _ in range(2))
    scale = torch.tensor(20.0)
    logits_BB = scale * image_BD @ text_BD.T
    target = torch.arange(6)
    clip = (F.cross_entropy(logits_BB, target) + F.cross_entropy(logits_BB.T, target)) / 2
    ours = contrastive_loss(image_BD, text_BD, scale, torch.eye(6, dtype=torch.bool))
    torch.testing.assert_close(ours, clip)


def test_repeats_in_a_batch_are_not_negatives() -> None:
    same_BD = F.normalize(torch.ones(4, 8), dim=-1)
    loss = contrastive_loss(same_BD, same_BD, torch.tensor(50.0), torch.ones(4, 4) > 0)
    assert loss.item() == pytest.approx(np.log(4))


def test_texts_are_encoded_as_open_clip_does(tokenizer) -> None:
    torch.manual_seed(0)
    model = new_model().eval()
    ids_BL = tokenizer(["a photo of a cup.", "the outline of one butterfly in ink"])
    torch.testing.assert_close(encode_text(model, ids_BL), model.encode_text(ids_BL))


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    plan = Plan(steps=100, warmup_steps=10, peak_rate=1.0)
    rates = [learning_rate(plan, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[-1] < 1e-3
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_killed_run_goes_on_to_the_same_weights(
    web: Web, tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh():
        torch.manual_seed(0)
        return new_model()

    whole = fresh()
    train(whole, web, web, tokenizer, PLAN, tmp_path / "whole.pt")

    monkeypatch.setattr(pretrain, "CHECKPOINT_SECONDS", 0.0)
    taken = pretrain._step
    steps = []

    def killed_at_the_third(*arguments):
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(arguments)
        return taken(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "_step", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            train(fresh(), web, web, tokenizer, PLAN, tmp_path / "broken.pt")
    resumed = fresh()
    train(resumed, web, web, tokenizer, PLAN, tmp_path / "broken.pt")

    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_checkpoint_of_another_plan_is_refused(web: Web, tokenizer, tmp_path: Path) -> None:
    train(new_model(), web, web, tokenizer, Plan(steps=1, batch=16), tmp_path / "one.pt")
    with pytest.raises(ValueError, match="is of another plan"):
        train(new_model(), web, web, tokenizer, PLAN, tmp_path / "one.pt")


def test_a_checkpoint_of_another_device_is_refused(web: Web, tokenizer, tmp_path: Path) -> None:
    train(new_model(), web, web, tokenizer, Plan(steps=1, batch=16), tmp_path / "one.pt")
    there = Plan(steps=1, batch=16, device="cuda")
    with pytest.raises(ValueError, match="is of another plan"):
        train(new_model(), web, web, tokenizer, there, tmp_path / "one.pt")


def test_only_devices_that_are_here_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_name("cpu") == Plan.device
    for other, fault in (("tpu", "'tpu' is no device"), ("meta", "not trained on 'meta'")):
        with pytest.raises(argparse.ArgumentTypeError, match=fault):
            device_name(other)
    # What a machine with a GPU says of one that is hidden from it.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(argparse.ArgumentTypeError, match="no CUDA device here"):
        device_name("cuda:0")


def test_a_card_names_the_gpu_that_trained_the_base() -> None:
    numbers = json.loads((BASE / "pretraining.json").read_text())
    numbers |= {"gpu": "NVIDIA A100", "seconds": 75}
    numbers["plan"]["device"] = "cuda"
    card = model_card(numbers)
    assert "75 seconds on one GPU\n(NVIDIA A100)." in card
    assert "processor cores" not in card
    assert f"--steps {numbers['plan']['steps']} --seed 0 --device cuda`" in card
