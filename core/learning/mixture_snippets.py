"""How the card of a mixture says to use it: Python that knows open_clip, safetensors and the
formula, and nothing of this project. Tests run it as it stands."""

from __future__ import annotations

_MEMBER = """\
import json, open_clip, safetensors, safetensors.torch, torch

def ask(folder):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    head = safetensors.torch.load_file(f"{folder}/head.safetensors")
    with torch.no_grad():
        features = model.eval().encode_image(preprocess(image)[None], normalize=True)
    return features, head["scale"].float() * features @ head["weight"]

classes = json.load(open("classes.json"))["classes"]
"""

VRF_SNIPPET = (
    _MEMBER
    + """\
with safetensors.safe_open("vrf.safetensors", "pt") as file:
    bank, vrf = file.get_tensor("bank"), json.loads(file.metadata()["vrf"])
_, zero_shot = ask("zero_shot")
features, fine_tuned = ask("fine_tuned")
omega = torch.ones(1, 1)  # how far the fine-tuned model is trusted
if len(bank):
    distances = (features[:, None] - bank[None]).square().sum(dim=-1)
    omega = torch.sigmoid((vrf["a"] - distances.sort().values[:, [vrf["k"] - 1]]) / vrf["b"])
omega = vrf.get("ceiling", 1.0) * omega
tuned_part = omega * (fine_tuned / vrf["T_ft"]).softmax(dim=-1)
probabilities = tuned_part + (1 - omega) * (zero_shot / vrf["T_zs"]).softmax(dim=-1)
"""
)

ENSEMBLE_SNIPPET = (
    _MEMBER
    + """\
ensemble = json.load(open("ensemble.json"))
weights = torch.tensor(ensemble["weights"])[:, None]
logits = torch.cat([ask(folder)[1] for folder in ensemble["members"]])
if ensemble["space"] == "logits":
    probabilities = (weights * logits).sum(dim=0, keepdim=True).softmax(dim=-1)
else:
    probabilities = (weights * logits.softmax(dim=-1)).sum(dim=0, keepdim=True)
"""
)
