"""Products are the same whichever library multiplies, and go on having gradients."""

import copy
import pickle

import pytest
import torch
from torch.nn import functional as F

from models.layers import linear as products
from models.layers.attention import MANY_FRAMES, attend
from models.layers.convolution import StridedConvolution
from models.layers.kept import stamp
from models.layers.linear import FewRows, Laid, Linear, by_onednn, linear


@pytest.fixture(params=[True, False], ids=["MKL holds back", "MKL does not"])
def held_back(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(products, "mkl_holds_back", lambda: bool(request.param))
    return bool(request.param)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (drawn(1_000, 96), drawn(192, 96)),
        (drawn(15, 70, 96), drawn(192, 96)),
        (drawn(96, 1_000).T, drawn(192, 96)),
        (drawn(1_000, 96), drawn(96, 192).T),
        (drawn(1_000, 192)[:, 96:], drawn(192, 96)),
        (drawn(70_000).as_strided((1_000, 96), (64, 1)), drawn(192, 96)),
        (drawn(3, 96), drawn(192, 96)),
        (drawn(0, 96), drawn(192, 96)),
        (drawn(200, 96).bfloat16(), drawn(192, 96).bfloat16()),
        (drawn(200, 96).double(), drawn(192, 96).double()),
    ],
    ids=["plain", "batch", "columns", "transposed weight", "slice", "overlapping", "few", "none", "half", "double"],
)
@pytest.mark.usefixtures("held_back")
def test_a_product_is_the_product(x: torch.Tensor, weight: torch.Tensor) -> None:
    bias = drawn(192).to(x.dtype)
    exact = F.linear(x.double(), weight.double(), bias.double())
    near = 2e-2 if x.dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(linear(x, weight, bias).double(), exact, atol=10 * near, rtol=near)
    torch.testing.assert_close(linear(x, weight).double(), exact - bias.double(), atol=10 * near, rtol=near)


def test_the_quicker_library_is_taken_only_where_it_can_be(held_back: bool) -> None:
    x, weight = drawn(32, 8), drawn(4, 8)
    assert by_onednn(x, weight) is held_back
    assert not by_onednn(x, drawn(8, 4).T), "of a weight that does not lie row by row it makes a slow loop"
    assert not by_onednn(drawn(8, 32).T, weight)
    assert not by_onednn(x.bfloat16(), weight.bfloat16())
    assert not by_onednn(x.to("meta"), weight.to("meta"))
    assert not by_onednn(x, weight.clone().requires_grad_()), "it has no gradient"


@pytest.mark.parametrize("kind", [Linear, FewRows])
@pytest.mark.parametrize("learns", ["weight", "bias"])
@pytest.mark.usefixtures("held_back")
def test_what_learns_has_its_gradient(kind: type[Linear], learns: str) -> None:
    layer = kind(96, 192).requires_grad_(False)
    layer.load_state_dict({"weight": drawn(192, 96), "bias": drawn(192)})
    layer.get_parameter(learns).requires_grad_()
    layer(drawn(32, 96)).sum().backward()
    expected = drawn(32, 96).sum(0).expand(192, 96) if learns == "weight" else torch.full((192,), 32.0)
    found = layer.get_parameter(learns).grad
    assert found is not None
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not products.mkl_holds_back(), reason="MKL makes all products here")
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("shape", [(256, 64), (256, 2048), (768, 3072), (2048, 256)])
def test_a_rows_product_is_the_same_to_the_last_bit_in_any_company(shape: tuple[int, int], threads: int) -> None:
    x, weight, laid, before = drawn(1_000, shape[1]), drawn(*shape), Laid(), torch.get_num_threads()
    torch.set_num_threads(threads)
    whole = linear(x, weight)
    for rows in (2, 16, 40, 64, 65, 300, 511, 513, 999):
        assert torch.equal(linear(x[:rows], weight), whole[:rows])
        assert torch.equal(linear(x[-rows:], weight), whole[-rows:])
        assert torch.equal(laid.linear(x[:rows], weight), whole[:rows])
    torch.set_num_threads(before)


def test_products_are_of_few_sizes_as_the_library_keeps_code_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = set()

    def multiplied(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        sizes.add((len(x), *weight.shape))
        return F.linear(x, weight, bias)

    monkeypatch.setattr(products, "mkl_holds_back", lambda: True)
    monkeypatch.setattr(products, "WORTH", 1)
    monkeypatch.setattr(products, "_multiplied", multiplied)
    weight = drawn(4, 8)
    for rows in range(1, 1_500, 7):
        assert len(linear(drawn(rows, 8), weight)) == rows
    assert {size[0] for size in sizes} == set(range(32, 513, 32))
    sizes.clear()
    laid = Laid()
    monkeypatch.setattr(laid, "weight", weight)
    monkeypatch.setattr(laid, "stamp", stamp([weight]))
    for rows in range(1, 513):
        assert len(laid.linear(drawn(rows, 8), weight)) == rows
    assert len(sizes) == 20
    sizes.clear()
    for frames in range(MANY_FRAMES, 700, 7):
        attend(drawn(frames, 3, 1, 8), (frames,))
    assert len(sizes) <= 8 * 8 * 2


@pytest.mark.usefixtures("held_back")
def test_a_weight_that_is_laid_out_is_followed_when_it_changes() -> None:
    layer = FewRows(64, 256).requires_grad_(False)
    for seed in (1, 2):
        layer.load_state_dict({"weight": drawn(256, 64) * seed, "bias": drawn(256)})
        for one in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            expected = F.linear(drawn(300, 64), drawn(256, 64) * seed, drawn(256))
            torch.testing.assert_close(one(drawn(300, 64)), expected, atol=1e-4, rtol=1e-4)
    assert (layer.laid.weight is not None) is products.mkl_holds_back()


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (5, 2), (5, 3)])
@pytest.mark.usefixtures("held_back")
def test_a_strided_convolution_is_one(kernel: int, stride: int) -> None:
    x, convolution = drawn(801, 48), StridedConvolution(48, 256, kernel, stride, bias=True).requires_grad_(False)
    convolution.weight.copy_(drawn(256, kernel * 48))
    convolution.bias.copy_(drawn(256))
    taps = convolution.weight.unflatten(1, (kernel, 48)).transpose(1, 2)
    expected = F.conv1d(x.T[None], taps, convolution.bias, stride)[0].T
    torch.testing.assert_close(convolution(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lengths", [(MANY_FRAMES, MANY_FRAMES), (3 * MANY_FRAMES + 7, 40, MANY_FRAMES + 1)])
@pytest.mark.usefixtures("held_back")
def test_attention_is_the_same(lengths: tuple[int, ...], dtype: torch.dtype) -> None:
    heads = drawn(sum(lengths), 3, 4, 64).to(dtype)
    exact = [
        F.scaled_dot_product_attention(*clip.double().permute(1, 2, 0, 3)).transpose(0, 1).flatten(1)
        for clip in heads.split(list(lengths))
    ]
    near = 1e-5 if dtype == torch.float32 else 1e-2
    found = attend(heads, lengths)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), torch.cat(exact), atol=near, rtol=near)


@pytest.mark.usefixtures("held_back")
def test_attention_that_learns_has_its_gradient() -> None:
    heads = drawn(MANY_FRAMES, 3, 2, 64).requires_grad_()
    attend(heads, (MANY_FRAMES,)).sum().backward()
    assert heads.grad is not None
    assert float(heads.grad.abs().sum()) > 0


def test_what_is_compared_here_is_large_enough_for_either() -> None:
    assert min(192 * 96, 256 * 64, 2 * 48 * 256, MANY_FRAMES * 64) >= products.WORTH
