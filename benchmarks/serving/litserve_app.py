"""The model under LitServe, as its documentation has an image classifier. Run with the peers' own
libraries before ours on the path; everything it is told comes as JSON in its first argument."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import litserve
import open_clip
import torch
from PIL import Image
from safetensors.torch import load_file


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    """Logits of a head on image features, softmaxed and sorted: what ours answers."""

    def __init__(self, directory: Path, threads: int, dtype: torch.dtype, **options: Any) -> None:
        super().__init__(**options)
        self._directory, self._threads, self._dtype = directory, threads, dtype

    def setup(self, device: str) -> None:
        torch.set_num_threads(self._threads)
        source = f"local-dir:{self._directory}"
        self._model, _, self._prepare = open_clip.create_model_and_transforms(source)
        self._model.eval().to(device, self._dtype)
        head = load_file(self._directory / "head.safetensors")
        self._weight = (head["scale"].float() * head["weight"]).to(device)
        self._classes = json.loads((self._directory / "classes.json").read_text())["classes"]

    def decode_request(self, request: dict[str, str]) -> torch.Tensor:
        image = Image.open(io.BytesIO(base64.b64decode(request["image"])))
        return self._prepare(image.convert("RGB"))

    def batch(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(inputs)

    @torch.inference_mode()
    def predict(self, images: torch.Tensor) -> torch.Tensor:
        if images.ndim == 3:
            images = images[None]
        images = images.to(self._weight.device, self._dtype)
        features = self._model.encode_image(images, normalize=True).float()
        return (features @ self._weight).softmax(dim=-1).cpu()

    def unbatch(self, output: torch.Tensor) -> list[torch.Tensor]:
        return list(output)

    def encode_response(self, output: torch.Tensor) -> list[dict[str, Any]]:
        scores, columns = output.reshape(-1).sort(descending=True)
        return [
            {"label": self._classes[column], "score": score}
            for score, column in zip(scores.tolist(), columns.tolist(), strict=True)
        ]


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    api = Classifier(
        Path(asked["directory"]),
        asked["threads"],
        getattr(torch, asked["dtype"]),
        max_batch_size=asked["batch"],
        batch_timeout=asked["wait"],
    )
    server = litserve.LitServer(
        api,
        accelerator=asked["device"],
        devices=1,
        workers_per_device=asked["workers"],
        timeout=120,
        fast_queue=asked["fast_queue"],
    )
    server.run(
        host="127.0.0.1",
        port=asked["port"],
        num_api_servers=asked["api_servers"],
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )
