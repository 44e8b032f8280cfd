"""The compiled block against PyTorch's operators in double precision."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.network.light import Convolution, PoolAndQuantize
from pipeline.network.norm_pool_quantize import NormPoolQuantize

EPS = 1e-5
SCALE, TOP = 0.25, 15


def leaves(channels: int, dtype: torch.dtype) -> list[Tensor]:
    """x, weight, bias and scale; the same numbers whatever the type."""
    random = torch.Generator().manual_seed(channels)
    x = 3 * torch.randn(5, channels, 1, 38, generator=random) + 1
    weight = torch.randn(channels, generator=random)  # of both signs
    bias = torch.randn(channels, generator=random)
    values = (x, weight, bias, torch.tensor(SCALE))
    return [value.to(dtype).requires_grad_() for value in values]


def reference(x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
    mean, variance = torch.zeros_like(weight), torch.zeros_like(weight)
    normed = functional.batch_norm(x, mean, variance, weight, bias, True, 1.0, EPS)
    return PoolAndQuantize.apply(normed, scale, TOP), mean, variance


def compiled(x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
    out: tuple[Tensor, ...] = NormPoolQuantize.apply(x, weight, bias, scale, TOP, EPS)
    return out


def gradients(out: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
    return torch.autograd.grad(out, inputs, grad)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("channels", [1, 7, 64])
def test_it_is_pytorchs_three_operators(channels: int) -> None:
    exact, fast = leaves(channels, torch.float64), leaves(channels, torch.float32)
    expected, mean, variance = reference(*exact)
    out, fast_mean, fast_variance = compiled(*fast)
    assert torch.equal(out, expected.float())
    assert 0 < out.count_nonzero() < out.numel()
    torch.testing.assert_close(fast_mean, mean.float())
    torch.testing.assert_close(fast_variance, variance.float())
    for actual, wanted in zip(gradients(out, fast), gradients(expected, exact), strict=True):
        torch.testing.assert_close(actual, wanted.float(), rtol=1e-4, atol=1e-4)


def test_another_gradient_is_found_out() -> None:
    exact, fast = leaves(7, torch.float64), leaves(7, torch.float32)
    grads = gradients(reference(*exact)[0], exact)
    moved = gradients(compiled(fast[0], fast[1] * 1.01, *fast[2:])[0], fast[:1])
    with pytest.raises(AssertionError):
        torch.testing.assert_close(moved[0], grads[0].float(), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("threads")
def test_the_same_call_has_the_same_result() -> None:
    inputs = leaves(64, torch.float32)
    one, other = (gradients(compiled(*inputs)[0], inputs) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_is_not_a_number_stays_so() -> None:
    x, *others = leaves(3, torch.float32)
    broken = x.detach().clone()
    broken[0, 1, 0, 5] = float("nan")
    assert compiled(broken, *others)[0][:, 1].isnan().all()


@pytest.mark.parametrize("inputs", [2, 5])
@pytest.mark.parametrize("needs_grad", [True, False])
def test_a_convolution_has_pytorchs_gradients(inputs: int, needs_grad: bool) -> None:
    random = torch.Generator().manual_seed(2)
    x = torch.randn(4, inputs, 1, 9, generator=random, dtype=torch.float64)
    weight = torch.randn(3, inputs, 1, 3, generator=random, dtype=torch.float64)
    x.requires_grad_(needs_grad)
    weight.requires_grad_()
    wanted_of = [x, weight] if needs_grad else [weight]
    out = Convolution.apply(x, weight)
    expected = functional.conv2d(x, weight, padding=(0, 1))
    assert torch.equal(out, expected)
    for actual, wanted in zip(
        gradients(out, wanted_of), gradients(expected, wanted_of), strict=True
    ):
        torch.testing.assert_close(actual, wanted)
