from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kineograph.core.errors import RequestError
from kineograph.data.sources import shapes
from kineograph.models.autoencoder import AutoencoderConfig, FrameAutoencoder, check
from kineograph.models.base import TensorBatch, VideoShape, to_model
from kineograph.models.objects import Codes, FrameDecoder, FrameEncoder, Matching, turned
from kineograph.text.encoders import HeardWords, Signs

SHAPE = VideoShape(4, 64, 64)


def fresh(shape: VideoShape = SHAPE, **settings: Any) -> FrameAutoencoder:
    torch.manual_seed(0)
    return FrameAutoencoder("flow", shape, AutoencoderConfig(drawing_width=8, **settings))


def test_a_code_is_joined_and_split_without_loss() -> None:
    layout = Codes(objects=2, appearance=4)
    place, size = torch.rand(3, 2, 2) * 2 - 1, torch.rand(3, 2) + 0.1
    angle, turn = torch.randn(3, 2), torch.rand(3, 2, 8) * 2 - 1
    codes = layout.join(place, size, angle, turn, torch.randn(3, 2, 4) * 9 + 3)
    assert codes.shape == (3, layout.features) == (3, 32)
    there = layout.split(codes)
    for was, now in zip((place, size, angle, turn), there, strict=False):
        assert torch.allclose(was, now, atol=1e-6)
    assert torch.allclose(there[4].square().sum(-1), torch.full((3, 2), 4.0), atol=1e-2)
    assert torch.allclose(layout.settle(codes), codes, atol=1e-3)


def test_an_object_keeps_its_number_through_a_clip() -> None:
    """Two cross, in frames whose objects come in any order: nearest in place and looks goes on."""
    torch.manual_seed(0)
    layout = Codes(objects=2, appearance=4)
    way = torch.linspace(-0.6, 0.6, 10)
    place = torch.stack([torch.stack([way, way], -1), torch.stack([way, -way], -1)], 1)  # (T, K, 2)
    looks = torch.randn(1, 2, 4).expand(10, 2, 4)
    size = torch.tensor([[0.1, 0.2]]).expand(10, 2)
    angle, turn = torch.zeros(10, 2), torch.rand(1, 2, 8).expand(10, 2, 8)
    parts = (place, size, angle, turn, looks)
    right, swapped = layout.join(*parts), layout.join(*(part.flip(1) for part in parts))
    mixed = torch.where(torch.rand(10, 1) < 0.5, right, swapped)
    assert not torch.allclose(mixed, right)
    found = layout.followed(mixed[None])[0]
    assert torch.allclose(found, right, atol=1e-3) or torch.allclose(found, swapped, atol=1e-3)
    assert torch.equal(found, layout.followed(swapped[None])[0])


def test_objects_learn_to_come_in_the_order_of_their_captions() -> None:
    """From captions of two looks and two ways, "2 goes 5, 1 goes 6", and clips in any order."""
    torch.manual_seed(0)
    layout, said = Codes(objects=2, appearance=4), torch.randint(2, (256, 2, 2))
    captions = torch.cat([said[:, 0] + torch.tensor([1, 5]), said[:, 1] + torch.tensor([1, 5])], 1)
    looks = torch.tensor([[1.0, -1, 1, -1], [-1, 1, 1, -1]])[said[..., 0]]
    way = torch.tensor([-0.4, 0.4])[said[..., 1], None, None] * torch.linspace(0, 1, 5)[:, None]
    start = torch.rand(256, 2, 1, 2) - 0.5
    place = start + torch.cat([way, torch.zeros_like(way)], -1)  # (B, K, T, 2)
    still = torch.ones(256, 5, 2)
    parts = (still * 0.2, 0 * still, 0 * still[..., None].expand(-1, -1, -1, 8))
    looks = looks[:, None].expand(-1, 5, -1, -1)
    true = layout.join(place.transpose(1, 2), *parts, looks)
    mixed = layout.reordered(true, torch.rand(256, 2).argsort(1))
    assert not torch.equal(mixed, true)

    text = HeardWords(Signs(10, 32), 10, 32, listeners=1, objects=2, price=0.0)
    matching = Matching(32, layout)
    optimizer = torch.optim.Adam(matching.parameters(), lr=3e-3)
    for _ in range(200):
        ordered, unlike = matching(text.in_order(captions), mixed)
        optimizer.zero_grad()
        unlike.backward()
        optimizer.step()
    apart = (said[:, 0] != said[:, 1]).any(1)  # else either order is right
    assert torch.equal(ordered[apart], true[apart])


def test_how_it_is_turned_is_known_before_anything_is_learned() -> None:
    """All that spin do so as their captions say, steadily; the rest are not turned."""
    source = shapes.Source(shapes.Config(two_objects=0.0, num_frames=10, rewording=0.0))
    batch = source.batch(np.arange(400), 5)
    model, layout = fresh(VideoShape(10, 64, 64)), Codes(1, 13)
    with torch.no_grad():
        single = model.encoder(to_model(batch.frames).flatten(0, 1)).view(400, 10, -1)
    _, _, angle, turn, _ = layout.split(layout.followed(single))
    degrees = np.degrees(angle[:, :, 0].numpy())
    spins = np.array(["spinning" in caption for caption in batch.captions])
    assert spins.sum() > 20
    assert np.abs(degrees[~spins]).max() < 20  # a small ring has corners: its pixels
    clockwise = np.array(["counter" not in caption for caption in batch.captions])[spins]
    steps = np.diff(degrees[spins]) * np.where(clockwise, 1, -1)[:, None]
    assert (steps > 0).all()
    assert np.abs(steps - steps.mean(1, keepdims=True)).max() < 4
    assert torch.allclose(turned(turn, angle), layout.split(single)[3], atol=1e-5)


def test_place_and_size_are_known_before_anything_is_learned() -> None:
    """Of any shape in any colour on any ground, to half a pixel and a tenth of the size."""
    source = shapes.Source(shapes.Config(two_objects=0.0))
    batch = source.batch(np.arange(200), 5)
    with torch.no_grad():
        codes = fresh().encoder(to_model(batch.frames).flatten(0, 1))
    place, size, *_ = Codes(1, 13).split(codes.view(200, 10, -1))
    true = np.stack([facts.objects[0].position for facts in batch.facts if facts])
    error = np.abs(32 + 32 * place[:, :, 0].numpy() - true)
    assert error.max() < 0.75
    assert error.mean() < 0.25
    discs = [i for i, f in enumerate(batch.facts) if f and f.objects[0].shape == "circle"]
    diameters = np.stack([f.objects[0].size for f in batch.facts if f])[discs]
    ratio = size[discs, :, 0].numpy() * 32 / (diameters / 2 / np.sqrt(2))
    assert ratio.min() > 0.9
    assert ratio.max() < 1.1


@pytest.mark.parametrize("shape", [VideoShape(3, 64, 64), VideoShape(3, 32, 64)])
def test_a_drawing_moves_with_its_place_and_grows_with_its_size(shape: VideoShape) -> None:
    """What is drawn at one place is drawn at another, shifted; twice the size is twice as wide."""
    torch.manual_seed(0)
    layout = Codes(1, 4)
    decoder = FrameDecoder(shape, layout, width=8, detail=16)
    turn, looks = torch.rand(1, 1, 8), torch.randn(1, 1, 4)
    straight = torch.zeros(1, 1)
    pixel = 2 / min(shape.height, shape.width)

    def drawn(x: float, y: float, size: float) -> torch.Tensor:
        code = layout.join(torch.tensor([[[x, y]]]), torch.tensor([[size]]), straight, turn, looks)
        with torch.no_grad():
            return decoder(code)[0]

    here, there = drawn(0.0, 0.0, 0.1), drawn(8 * pixel, 4 * pixel, 0.1)
    assert torch.allclose(here.roll((4, 8), (1, 2)), there, atol=1e-4)
    ground = here[:, 0, 0, None, None]
    large = drawn(0.0, 0.0, 0.2)
    wide = [(abs(picture - ground).amax(0).amax(0) > 1e-3).sum() for picture in (here, large)]
    assert 1.8 < wide[1] / wide[0] < 2.2


def test_the_window_is_laid_where_the_object_is() -> None:
    """A disc at two places, of two sizes and in two colours looks the same through its window."""
    layout = Codes(1, 4)
    encoder = FrameEncoder(SHAPE, layout, width=8, detail=16)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")

    def disc(cx: float, cy: float, radius: float, color: tuple[float, ...]) -> torch.Tensor:
        cover = (radius + 0.5 - torch.hypot(x - cx, y - cy)).clamp(0, 1)
        return cover * torch.tensor(color)[:, None, None] - 0.5

    frames = torch.stack([disc(20, 24, 6, (1, 0, 0)), disc(40, 33, 12, (0.2, 0, 0))])
    differs = frames - frames.mean((2, 3), keepdim=True)
    place = torch.tensor([[[20.5, 24.5]], [[40.5, 33.5]]]) / 32 - 1
    size = torch.tensor([[6.0], [12.0]]) / 32 / 2**0.5
    seen = encoder._look_at(differs, torch.ones(1), place, size).flatten(1)
    assert torch.nn.functional.cosine_similarity(seen[:1], seen[1:]) > 0.97


def test_two_objects_get_a_place_each() -> None:
    """Of any shapes, sizes and colours on any ground, and each keeps its number."""
    source = shapes.Source(shapes.Config(two_objects=1.0))
    batch = source.batch(np.arange(100), 5)
    model = fresh(VideoShape(10, 64, 64), objects=2)
    tensors = TensorBatch(to_model(batch.frames), torch.ones(100, 1, dtype=torch.int64), 0.0)
    place, *_ = model.layout.split(model.codes(tensors))
    found = 32 + 32 * place.numpy()
    true = np.stack([[o.position for o in facts.objects] for facts in batch.facts if facts])
    true = true.transpose(0, 2, 1, 3)
    away = np.stack([np.abs(found[:, :, order] - true) for order in ([0, 1], [1, 0])])
    assert (away.max((2, 3, 4)).min(0) < 1).mean() > 0.95


def test_an_empty_frame_is_no_accident() -> None:
    model = fresh()
    with torch.no_grad():
        codes = model.encoder(torch.ones(2, 3, 64, 64))
    assert codes.isfinite().all()
    empty = TensorBatch(torch.ones(1, 2, 3, 64, 64), torch.ones(1, 1, dtype=torch.int64), 0.0)
    model.losses(empty)["total"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("shape", [VideoShape(10, 60, 64), VideoShape(2, 64, 64)])
def test_a_shape_that_cannot_be_coded_is_refused(shape: VideoShape) -> None:
    with pytest.raises(RequestError, match="multiples of 8"):
        fresh(shape)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("objects", -1),
        ("appearance", 1),
        ("detail", 2),
        ("drawing_width", 1),
        ("turns_a_step", 0),
        ("autoencoder_share", 0.0),
        ("autoencoder_share", 1.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(RequestError, match=f"model.{setting}"):
        check(AutoencoderConfig(**{setting: value}), {}, ())  # type: ignore[arg-type]  # floats
